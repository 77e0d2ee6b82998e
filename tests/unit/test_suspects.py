"""Under `hold`: a document that ends each of its requests is found; a node that is away costs no event."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import DONE, Answer, classify
from outboxctl.sink.delivery.bulk import PROBE, BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.flow.suspects import LARGE, SuspectIsolation, Suspects

pytestmark = pytest.mark.no_servers
TIMEOUT = classify(Answer(0, "timeout", "no answer", request=True))
BUSY = classify(Answer(429, "circuit_breaking_exception", "Data too large", request=True))
INDEX = "a"
ACTIONS = [BulkAction(f"block:{n}", 1, "{}") for n in range(300)]
Ends = Callable[[Sequence[BulkAction]], bool]


class Engine:
    """Ends a request without a word where `ends` says so; `sizes` are those of its requests."""

    def __init__(self, ends: Ends, finding: object = TIMEOUT) -> None:
        self.ends, self.finding, self.sizes = ends, finding, list[int]()

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        del deadline
        self.sizes.append(len(actions))
        return Delivery([self.finding if self.ends(actions) else DONE] * len(actions), [])  # type: ignore[list-item]


def holds(id_: str) -> Ends:
    return lambda actions: any(action.id == id_ for action in actions)


def rounds(
    engine: Engine, suspects: Suspects, number: int, actions: Sequence[BulkAction] = ACTIONS
) -> set[str]:
    """Deliver the rest again and again; the ids of those found to be at fault."""
    left, at_fault = list(actions), set[str]()
    for _ in range(number):
        findings = (
            SuspectIsolation(engine, suspects, INDEX).deliver(left, deadline=Deadline.within(20)).findings
        )
        pairs = list(zip(left, findings, strict=True))
        at_fault |= {a.id for a, f in pairs if f and f is not DONE and not f.refundable}
        # What was not sent is due at once, the others after their wait.
        left = [a for a, f in pairs if f is None] + [a for a, f in pairs if f not in (None, DONE)]
        if not left:
            break
        SuspectIsolation(engine, suspects, INDEX).deliver(
            [BulkAction("other", 1, "{}")], deadline=Deadline.within(20)
        )
    return at_fault


@given(bad=st.integers(0, 299))
def test_a_document_that_ends_each_of_its_requests_is_found_and_no_other(bad: int) -> None:
    engine, suspects = Engine(holds(f"block:{bad}")), Suspects()
    assert rounds(engine, suspects, 12) == {f"block:{bad}"}
    assert suspects.size(INDEX, ACTIONS[bad]) == 1
    assert all(suspects.size(INDEX, action) == 0 for action in ACTIONS if action is not ACTIONS[bad])


def test_a_document_of_the_same_id_in_another_index_clears_nothing() -> None:
    """Each index has a document 7: that of one is taken, that of the other ends each of its requests."""
    engine, other, suspects = Engine(holds("block:7")), Engine(lambda _: False), Suspects()
    left, at_fault = ACTIONS, set[str]()
    for _ in range(12):
        isolated = SuspectIsolation(engine, suspects, INDEX)
        pairs = [*zip(left, isolated.deliver(left, deadline=Deadline.within(20)).findings, strict=True)]
        at_fault |= {a.id for a, f in pairs if f and f is not DONE and not f.refundable}
        left = [a for a, f in pairs if f is not DONE]
        SuspectIsolation(other, suspects, "b").deliver(ACTIONS, deadline=Deadline.within(20))
    assert at_fault == {"block:7"}


def test_a_sink_that_answers_nothing_casts_no_doubt_on_an_event() -> None:
    engine, suspects = Engine(lambda _: True), Suspects()
    assert rounds(engine, suspects, 20) == set()
    assert {suspects.size(INDEX, action) for action in ACTIONS} == {100}, (
        "once, whatever the number of requests"
    )


def test_a_frozen_node_costs_no_event_an_attempt_while_others_are_taken() -> None:
    """All requests with a document of its shard end, also those of a probe."""

    def frozen(actions: Sequence[BulkAction]) -> bool:
        return any((action.routing or action.id) in {"block:1", "block:2"} for action in actions)

    engine, suspects = Engine(frozen), Suspects()
    assert rounds(engine, suspects, 20) == set()
    engine.ends = lambda _: False
    assert rounds(engine, suspects, 2) == set()
    assert not suspects.any, "once it is taken nothing is held against it"


@pytest.mark.parametrize(("length", "refundable"), [(10, True), (LARGE + 1, False)])
def test_a_large_document_that_the_engine_has_never_room_for_ends(length: int, refundable: bool) -> None:
    """Alone, and while the engine takes a small request; a busy engine is no fault of a small document."""
    action = BulkAction("block:1", 1, "x" * length)
    engine = Engine(lambda actions: actions[0].id != PROBE.id, BUSY)
    (found,) = (
        SuspectIsolation(engine, Suspects(), INDEX).deliver([action], deadline=Deadline.within(20)).findings
    )
    assert found
    assert found.refundable is refundable
