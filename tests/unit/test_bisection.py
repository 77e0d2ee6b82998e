"""Halving isolates the culprit in few requests, and never blames an event for a sink that is ill."""

from collections.abc import Callable, Sequence
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.domain.failures import Answer, Reason, Verdict
from outboxctl.sink.delivery.bisect import Bisection, Sent
from outboxctl.sink.delivery.bulk import CONFIRMED, PROBE, BulkAction

pytestmark = pytest.mark.no_servers
RESET = Answer(0, "reset", request=True)
BAD_LINE = Answer(400, "illegal_argument_exception", "one item is bad", request=True)
PAGE = Answer(400, "", "<html>The plain HTTP request was sent to HTTPS port</html>", request=True)
UNTYPED = Answer(400, "unknown", "bad request", request=True)
TOO_LARGE = Answer(413, request=True)
CONFIG = (Verdict.OUTAGE, Reason.CONFIG)
REFUSED = (Verdict.FAIL, Reason.BAD_REQUEST)
Sends = Callable[[Sequence[BulkAction]], Sent]


def actions(count: int) -> list[BulkAction]:
    return [BulkAction(str(n), 1, "{}") for n in range(count)]


def number(action: BulkAction) -> int:
    """Which of the events it is about; -1 for the probe, which is about none."""
    return -1 if action is PROBE else int(action.id)


def refusing(bad: set[int], answer: Answer, sizes: list[int]) -> Sends:
    def send(some: Sequence[BulkAction]) -> Sent:
        sizes.append(len(some))
        return answer if any(number(a) in bad for a in some) else [CONFIRMED] * len(some)

    return send


def verdicts(send: Sends, count: int) -> list[tuple[Verdict, Reason | None] | None]:
    found = Bisection(send).deliver(actions(count))
    return [(f.verdict, f.reason) if f else None for f in found]


@given(count=st.integers(1, 600), data=st.data())
def test_one_bad_item_is_found_in_few_requests(count: int, data: st.DataObject) -> None:
    bad, sizes = data.draw(st.integers(0, count - 1)), list[int]()
    found = verdicts(refusing({bad}, BAD_LINE, sizes), count)
    assert found[bad] == (Verdict.FAIL, Reason.BAD_REQUEST)
    assert found.count((Verdict.DONE, None)) == count - 1
    assert len(sizes) <= 2 * ceil(log2(count)) + 1 + 2, "at most two more, to be sure whose fault it is"


@given(count=st.integers(2, 40), data=st.data())
def test_events_too_large_for_a_proxy_that_resets_are_told_from_the_others(
    count: int, data: st.DataObject
) -> None:
    bad = data.draw(st.integers(0, count - 1))
    found = verdicts(refusing({bad}, RESET, []), count)
    assert found[bad] == (Verdict.FAIL, Reason.PAYLOAD_TOO_LARGE)
    assert found.count((Verdict.DONE, None)) == count - 1


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_a_sink_that_resets_everything_costs_no_event_and_few_requests(count: int) -> None:
    sizes: list[int] = []
    found = verdicts(refusing(set(range(count)), RESET, sizes), count)
    assert found == [(Verdict.RETRY, Reason.CONNECTION_LOST)] * count
    assert len(sizes) <= 2 * (2 * ceil(log2(count)) + 3)


@given(data=st.data())
def test_nodes_that_are_stopped_one_after_the_other_fail_no_event(data: st.DataObject) -> None:
    """Three nodes, of which each may reset one request as it stops; whichever requests these are."""
    struck = data.draw(st.sets(st.integers(0, 8), max_size=3))
    sizes: list[int] = []

    def send(some: Sequence[BulkAction]) -> Sent:
        sizes.append(len(some))
        return RESET if len(sizes) - 1 in struck else [CONFIRMED] * len(some)

    found = verdicts(send, data.draw(st.integers(1, 4)))
    assert all(verdict is None or verdict[0] is not Verdict.FAIL for verdict in found)


def test_what_was_never_sent_has_no_finding() -> None:
    answers: list[Sent] = [TOO_LARGE, [CONFIRMED, CONFIRMED], None]
    assert verdicts(lambda _: answers.pop(0), 4) == [(Verdict.DONE, None)] * 2 + [None] * 2


@given(count=st.integers(30, 300), data=st.data())
def test_many_events_that_are_too_large_cost_their_neighbours_nothing(
    count: int, data: st.DataObject
) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 2), max_size=count // 3))
    found = verdicts(refusing(bad, RESET, []), count)
    done = [n for n, verdict in enumerate(found) if verdict == (Verdict.DONE, None)]
    assert done == sorted(set(range(count)) - bad)


@pytest.mark.parametrize("answer", [BAD_LINE, PAGE, UNTYPED], ids=["typed", "page", "untyped"])
@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_a_sink_that_answers_400_to_everything_costs_no_event(count: int, answer: Answer) -> None:
    sizes: list[int] = []
    found = verdicts(refusing({-1, *range(count)}, answer, sizes), count)
    assert found == [CONFIG] * count
    assert len(sizes) <= ceil(log2(count)) + 4


def test_an_event_that_only_something_in_between_refuses_is_not_failed() -> None:
    """A firewall that dislikes its text, for instance: its neighbours go on, and it waits."""
    found = verdicts(refusing({5}, PAGE, []), 16)
    assert found[5] == CONFIG
    assert found.count((Verdict.DONE, None)) == 15
    assert verdicts(refusing({0}, UNTYPED, []), 1) == [CONFIG]


def test_where_no_time_is_left_to_be_sure_nothing_fails() -> None:
    answers: list[Sent] = [BAD_LINE, [CONFIRMED], None]
    assert verdicts(lambda _: answers.pop(0), 1) == [(Verdict.RETRY, Reason.BAD_REQUEST)]
    answers = [BAD_LINE, None]
    assert verdicts(lambda _: answers.pop(0), 1) == [CONFIG]


@given(count=st.integers(1, 40), data=st.data())
def test_no_good_event_fails_whenever_the_sink_refuses_everything(count: int, data: st.DataObject) -> None:
    """It does from one request to another; outside of that each bad event, and no other, is refused."""
    bad = data.draw(st.sets(st.integers(0, count - 1)))
    start = data.draw(st.integers(0, 60))
    end = start + data.draw(st.integers(0, 60))
    refusal = data.draw(st.sampled_from([BAD_LINE, PAGE]))
    requests = 0

    def send(some: Sequence[BulkAction]) -> Sent:
        nonlocal requests
        requests += 1
        return refusal if start < requests <= end else refusing(bad, BAD_LINE, [])(some)

    found = verdicts(send, count)
    failed = {n for n, verdict in enumerate(found) if verdict == REFUSED}
    assert failed <= bad
    assert {n for n, verdict in enumerate(found) if verdict == (Verdict.DONE, None)} <= set(
        range(count)
    ) - bad
    if start == end or requests <= start:
        assert failed == bad, "found as long as the sink takes anything else"
