"""Whether and how much is sent to the sink and to an index: no event starves or pays for another's fault."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.core.delivery.claim import Claimed
from outboxctl.domain import clock
from outboxctl.domain.failures import DONE, Answer, Classification, OutageScope, Reason, Verdict, classify
from outboxctl.domain.flow.fault import LARGE_DOCUMENT, needs_probe
from outboxctl.domain.flow.index_state import FEW, LIMIT_HOLD_SECONDS, PAUSE, IndexState
from outboxctl.domain.flow.lanes import RECENT, Leases, others_wait, without_share
from outboxctl.domain.flow.signals import Findings, Signal, signal_of_index
from outboxctl.domain.flow.sink_state import LONGEST_STEP, PROBE_EVENTS, STANDSTILL, SinkPolicy, SinkState
from outboxctl.settings import load
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.flow import control
from outboxctl.worker.lane.prepare import UNSENT, prepare
from outboxctl.worker.projections.reading import NEVER_WAS

pytestmark = pytest.mark.no_servers
LANES, SIZE = 3, 100
MOST = LANES * SIZE
HOLD = SinkPolicy(hold=True, base=0.5, cap=30, longest_pause=30, unanswered=LANES, first=SIZE)
COUNT = replace(HOLD, hold=False, unanswered=1)
ME, OTHER = 1, 2
BUSY = Classification(Verdict.RETRY, Reason.RATE_LIMITED, retry_after=7)
DEAD = Classification(Verdict.OUTAGE, Reason.CONNECT, error="connect: refused")
SILENT = classify(Answer(0, "timeout", "a text of the sink", request=True))
REFUSED = Classification(Verdict.OUTAGE, Reason.UNAVAILABLE, error="503")
DEAD_PROXY = classify(Answer(502, request=True))
SICK = classify(Answer(503, "unavailable_shards_exception", "[x][0] primary shard is not active"))
MALFORMED = classify(Answer(400, "mapper_parsing_exception", "failed to parse"))
OF_ONE_EVENT = classify(Answer(500, "null_pointer_exception", "a bug of the sink"))
BLOCKED = classify(Answer(403, "cluster_block_exception", "blocked by: [FORBIDDEN/8/index write (api)]"))
MISSING = replace(classify(Answer(404, "index_not_found_exception", request=True)), scope=OutageScope.INDEX)
UNAVAILABLE_TO_ONE = replace(REFUSED, scope=OutageScope.INDEX)
NOT_SENT = replace(SICK, attempt_returned=True, unsent=True)


class Sink:
    """The state of a sink, and a clock."""

    def __init__(self, policy: SinkPolicy = HOLD, most: int = MOST) -> None:
        self.state, self.policy, self.now = SinkState(most, most), policy, 100.0

    def says(self, *findings: Classification | None, who: int = ME, seconds: float = 0.5) -> None:
        """The answer to a delivery that began so many seconds ago."""
        sent_at, rng = self.now - seconds, Random(1)
        self.state = self.state.after(
            findings, sent_at=sent_at, now=self.now, policy=self.policy, rng=rng, who=who
        )

    def admits(self, size: int = 1_000, in_flight: int = 0, who: int = ME) -> int:
        """How many of so many events may be claimed."""
        self.state, size = self.state.admitted(size, in_flight, self.now, self.policy, who=who)
        return size


def test_overload_halves_and_success_adds() -> None:
    sink = Sink(most=400)
    for _ in range(2):
        sink.now += 1
        sink.says(BUSY)
    assert sink.state.room == 100
    sink.says(*[DONE] * 100)
    assert sink.state.room == 120
    for _ in range(20):
        sink.says(*[DONE] * sink.state.room)
    assert sink.state.room == 400


def test_what_was_sent_before_the_cut_does_not_cut_again() -> None:
    sink = Sink(most=400)
    sink.says(BUSY)
    sink.says(BUSY, seconds=0.1)
    assert sink.state.room == 200


def test_the_sinks_own_pause_is_kept_but_not_beyond_the_cap() -> None:
    sink = Sink(replace(HOLD, longest_pause=5))
    sink.says(BUSY)
    sink.now += 4.9
    assert sink.admits(10) == 0
    sink.now += 0.2
    assert sink.admits(10) == 10


def test_a_batch_that_could_not_all_be_sent_in_time_makes_the_next_one_smaller() -> None:
    sink = Sink(most=400)
    sink.says(DONE, None)
    assert sink.admits() == 200


def test_half_of_small_batches_is_half_of_large_ones() -> None:
    """Where large documents make batches small, an overloaded sink gets fewer of them all the same."""
    sink = Sink(most=3_000)
    sink.state = sink.state.resized(24)
    sink.says(BUSY)
    assert sink.state.room == 12
    assert sink.state.resized(3_000).room == 1_500


def test_while_it_is_away_one_probe_at_a_time_is_sent() -> None:
    sink = Sink()
    sink.says(DEAD)
    assert sink.admits() == 0, "not before its time"
    sink.now += LONGEST_STEP
    assert [sink.admits(), sink.admits(who=OTHER)] == [PROBE_EVENTS, 0]
    sink.state = sink.state.probe_ended(OTHER)
    assert sink.admits(who=OTHER) == 0, "it was not its own"
    sink.state = sink.state.probe_ended(ME)
    assert sink.admits() == PROBE_EVENTS, "a probe that came to nothing does not lock the sink"
    sink.says(DONE)
    assert sink.admits() == SIZE, "many workers must not send full batches at once"


def test_probes_are_never_more_than_five_seconds_apart_and_under_count_whole_batches() -> None:
    sink = Sink(COUNT)
    for _ in range(100):
        sink.says(DEAD)
    sink.now += LONGEST_STEP
    assert [sink.admits(SIZE), sink.admits(SIZE)] == [SIZE, 0]


def test_a_late_failure_of_another_lane_does_not_let_a_second_probe_through() -> None:
    sink = Sink()
    sink.says(DEAD)
    sink.now += LONGEST_STEP
    assert sink.admits() == PROBE_EVENTS
    sink.says(DEAD, who=OTHER)
    sink.now += 60
    assert sink.admits() == 0, "one is under way"


@pytest.mark.parametrize(
    ("policy", "deliveries", "away"),
    [
        pytest.param(COUNT, [[DEAD]], True, id="refused"),
        pytest.param(COUNT, [[SILENT]], False, id="one timeout may be this batch's own"),
        pytest.param(COUNT, [[SILENT], [SILENT]], True, id="two in a row"),
        pytest.param(COUNT, [[SILENT], [DONE], [SILENT]], False, id="something was taken in between"),
        pytest.param(COUNT, [[SILENT], [SILENT, DONE]], False, id="something of it was taken"),
        pytest.param(COUNT, [[REFUSED]], True, id="503 to a whole request"),
        pytest.param(COUNT, [[DEAD], [REFUSED]], True, id="it is there again, and takes nothing yet"),
        pytest.param(COUNT, [[REFUSED, MALFORMED]], False, id="an answer about one event"),
        pytest.param(COUNT, [[MALFORMED], [MALFORMED]], False, id="an answer, though no good one"),
        pytest.param(COUNT, [[DEAD], [MALFORMED]], False, id="it answers again"),
        pytest.param(COUNT, [[DEAD_PROXY], [DEAD_PROXY]], True, id="a proxy before a dead engine, twice"),
        pytest.param(COUNT, [[DEAD], [SICK]], False, id="only one shard takes nothing any more"),
        pytest.param(COUNT, [[MISSING], [MISSING]], False, id="the index of one projection"),
        pytest.param(COUNT, [[DEAD], [UNAVAILABLE_TO_ONE]], True, id="503 to a projection is no news"),
        pytest.param(COUNT, [[None], [None]], False, id="nothing was sent"),
        pytest.param(COUNT, [[DEAD], [NOT_SENT]], True, id="what was not sent is no answer"),
        pytest.param(HOLD, [[REFUSED, DONE]], True, id="hold: an outage of some"),
        pytest.param(HOLD, [[DEAD_PROXY]] * LANES, False, id="hold: one node takes one of each lane along"),
        pytest.param(HOLD, [[SILENT]] * (LANES + 1), True, id="hold: repeated"),
        pytest.param(
            HOLD, [*[[SILENT]] * LANES, [DONE], *[[SILENT]] * LANES], False, id="hold: taken in between"
        ),
        pytest.param(HOLD, [[DEAD], [SILENT]], True, id="hold: silence does not close it"),
        pytest.param(HOLD, [[DEAD], [UNAVAILABLE_TO_ONE]], False, id="hold: 503 to one index is an answer"),
        pytest.param(HOLD, [[SICK]] * 20, False, id="hold: one shard says nothing about the others"),
        pytest.param(HOLD, [*[[SILENT]] * LANES, [NOT_SENT], [SILENT]], True, id="hold: not sent, no answer"),
    ],
)
def test_a_sink_that_takes_nothing_at_all_gets_fewer_requests(
    policy: SinkPolicy, deliveries: list[list[Classification | None]], away: bool
) -> None:
    sink = Sink(policy)
    for findings in deliveries:
        sink.says(*findings)
    assert sink.state.away is away


@pytest.mark.parametrize("finding", [SILENT, BLOCKED, SICK])
def test_nothing_taken_for_some_seconds_is_a_problem(finding: Classification) -> None:
    sink = Sink()
    sink.says(finding, None, seconds=1)
    sink.now += STANDSTILL - 1
    assert sink.state.standstill(sink.now) is None
    sink.now += 1
    assert sink.state.standstill(sink.now) == (STANDSTILL + 1, finding)
    assert sink.state.idle().standstill(sink.now) is None, "no event waits"
    sink.says(finding, DONE)
    assert sink.state.standstill(sink.now) is None, "some are taken"


@pytest.mark.parametrize("finding", [OF_ONE_EVENT, MALFORMED])
def test_an_answer_about_one_event_is_no_standstill(finding: Classification) -> None:
    sink = Sink()
    sink.says(finding)
    assert sink.state.standstill(sink.now + 600) is None


def test_a_late_answer_to_an_old_request_counts_from_what_was_taken_meanwhile() -> None:
    sink = Sink()
    sink.now += 20
    sink.says(DONE)
    sink.says(SILENT, seconds=20)
    assert sink.state.standstill(sink.now) is None
    assert sink.state.standstill(sink.now + STANDSTILL + 1) is not None


ANSWERS = [DONE, BUSY, DEAD, SILENT, REFUSED, SICK, MALFORMED, MISSING, UNAVAILABLE_TO_ONE, NOT_SENT, None]
OF_AN_INDEX = [MISSING, SICK, replace(BLOCKED, scope=OutageScope.INDEX), NOT_SENT]
Step = tuple[
    float, Sequence[Classification | None], bool
]  # seconds, findings, whether the lane is the prober
STEPS = st.tuples(st.floats(0, 10), st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=5), st.booleans())


@given(st.lists(STEPS, max_size=40), st.sampled_from([HOLD, COUNT]))
def test_whatever_it_has_answered_a_healed_sink_is_at_full_speed_within_a_minute(
    steps: list[Step], policy: SinkPolicy
) -> None:
    sink = Sink(policy)
    for seconds, findings, own in steps:
        sink.now += seconds
        size = sink.admits(SIZE)
        assert 0 <= size <= SIZE
        assert 1 <= sink.state.room <= MOST
        if size:
            sink.says(*findings, who=ME if own else OTHER)
            sink.state = sink.state.probe_ended(ME)
    healed, delivered = sink.now, 0
    while sink.state.room < MOST or sink.state.away:
        if size := sink.admits(SIZE):
            sink.says(*[DONE] * size)
            delivered += size
        sink.now += 0.1
        assert sink.now < healed + 60
    assert sink.admits(SIZE) == SIZE, "no event starves"


@given(st.lists(st.sampled_from(OF_AN_INDEX), max_size=20), st.sampled_from([HOLD, COUNT]))
def test_what_one_index_refuses_holds_up_no_other(refused: list[Findings], policy: SinkPolicy) -> None:
    sink = Sink(policy)
    for finding in refused:
        sink.says(finding)  # type: ignore[arg-type]
        sink.now += 0.1
    assert sink.admits(SIZE) == SIZE


@given(st.lists(st.lists(st.sampled_from([DONE, MISSING, SICK, MALFORMED, SILENT]), min_size=1, max_size=3)))
def test_an_index_is_closed_for_a_second_after_all_of_a_batch_waited(
    batches: list[list[Classification]],
) -> None:
    index, now = IndexState(), 100.0
    for findings in batches:
        index = index.after(findings, now)
        assert index.closed(now) is (index.why is not None)
        if {*findings} == {MISSING}:
            assert index.closed(now)
        now += PAUSE
        assert not index.closed(now), "it is probed"
    assert index.after([MALFORMED], now).why is None, "an answer opens it"


def test_a_closed_index_is_probed_by_one_lane_and_with_few_events_under_hold() -> None:
    index = IndexState().after([MISSING], 100.0)
    assert not index.closed(100.0 + PAUSE)
    probed = replace(index, prober=ME)
    assert probed.closed(100.0 + 60)
    assert probed.after([MISSING], 200.0, who=OTHER) == probed, "it was claimed before the outage"
    again = probed.after([SILENT], 200.0, who=ME)
    assert (again.why, again.closed(200.0), again.closed(200.0 + PAUSE)) == (MISSING, True, False)
    assert again.after([MISSING], 202.0).failures == 2
    assert again.after([DONE], 202.0).failures == 0


@pytest.mark.parametrize(
    ("findings", "signal"),
    [
        ([UNSENT, MISSING], Signal.OUTAGE),
        ([SILENT, MISSING], Signal.OUTAGE),
        ([replace(MALFORMED, unsent=True), *[MISSING] * 9], Signal.OUTAGE),
        ([NEVER_WAS, *[MISSING] * 5], Signal.OUTAGE),
        ([DONE, MISSING], Signal.ANSWER),
        ([MALFORMED, DEAD], Signal.ANSWER),
        ([SICK], Signal.ANSWER),
        *[([finding], Signal.NOTHING) for finding in (UNSENT, NEVER_WAS, DEAD, REFUSED, NOT_SENT)],
    ],
)
def test_an_index_is_judged_by_what_was_sent_to_it_and_answered(
    findings: list[Classification], signal: Signal
) -> None:
    assert signal_of_index(findings)[0] is signal


def test_what_is_decided_without_the_sink_is_no_answer() -> None:
    batch = [Claimed(op, op, op, version, 1, None, None) for op, version in (("bad", 1), ("upsert", -1))]
    assert [finding.unsent for _, finding in prepare(batch).decided] == [True, True]


def flow_of(*held: str, since: float = 0.0, **settings: Any) -> control.FlowControl:
    """The flow of a worker whose lanes hold a batch of each of these projections."""
    context = MagicMock(settings=load(**settings))
    leases = [SimpleNamespace(name=name, requested_at=since) for name in held]
    context.in_flight.leases.return_value = leases
    return control.FlowControl(context)


def choosing(held: dict[str, int], slow: Sequence[str] = ()) -> control.FlowControl:
    """The same where they hold so many batches of each projection, of those that are known."""
    flow = flow_of(*Counter(held).elements(), since=inf, concurrency=4, outage_policy="hold")
    for name in ("quick", "slow", "other"):
        for events in (FEW, 2 * FEW, 4 * FEW, 8 * FEW):  # the first ones are few
            flow.ended(name, events, clock.monotonic() - (1.0 if name in slow else 0.0))
    return flow


NOW = 1_000.0


def lanes_with(held: dict[str, int], *, ago: float = 0.0) -> Leases:
    """So many batches in progress of each projection, claimed so many seconds ago."""
    return [(name, NOW - ago) for name in Counter(held).elements()]


def known(seconds: dict[str, float], *, ago: float = 0.0) -> dict[str, IndexState]:
    """Projections by what their last batches took, which ended so many seconds ago."""
    return {name: IndexState(seconds=each, served_at=NOW - ago) for name, each in seconds.items()}


@pytest.mark.parametrize(
    ("held", "slow", "closed"),
    [
        ({"slow": 1, "quick": 1}, ["slow"], []),
        ({"slow": 2}, ["slow"], ["slow"]),
        ({"slow": 1, "other": 1}, ["slow", "other"], []),
        ({"slow": 2, "other": 1}, ["slow", "other"], ["other", "slow"]),
        ({"slow": 1, "quick": 2}, ["slow"], ["slow"]),
        ({"quick": 4}, [], []),
        ({"": 1}, [], [""]),
    ],
)
def test_a_slow_projection_holds_at_most_half_of_the_lanes_and_never_the_last_one(
    held: dict[str, int], slow: list[str], closed: list[str]
) -> None:
    """One that was never measured holds one, here search_index."""
    states = known({name: 1.1 if name in slow else 0.1 for name in ("quick", "slow", "other")})
    assert sorted(without_share(lanes_with(held), states, 4, NOW)) == closed


@pytest.mark.parametrize(("seconds", "closed"), [(5.0, {"slow"}), (0.5, set())])
def test_a_projection_alone_leaves_a_lane_to_the_next_event_of_another_one(
    seconds: float, closed: set[str]
) -> None:
    idle = known({"other": 0.1}, ago=RECENT)
    assert without_share(lanes_with({"slow": 3}), known({"slow": seconds}) | idle, 4, NOW) == closed


def test_a_batch_that_takes_long_has_its_share_before_it_ends() -> None:
    states = known({"slow": 0.1, "quick": 0.1})
    assert without_share(lanes_with({"slow": 2}, ago=0.2), states, 4, NOW) == set()
    assert without_share(lanes_with({"slow": 2}, ago=0.4), states, 4, NOW) == {"slow"}
    assert without_share(lanes_with({"slow": 3}, ago=0.4), known({"slow": 0.1}), 4, NOW) == set(), "alone"
    assert without_share(lanes_with({"slow": 3}, ago=1.1), known({"slow": 0.1}), 4, NOW) == {"slow"}


@pytest.mark.parametrize(("lanes", "ago", "waits"), [(1, 0.0, True), (1, RECENT, False), (2, 0.0, False)])
def test_with_one_lane_another_projection_waits_for_each_batch(lanes: int, ago: float, waits: bool) -> None:
    states = known({"one": 0.1}) | known({"other": 0.1}, ago=ago)
    assert others_wait(lanes_with({"one": 1}), states, lanes, NOW) is waits


def test_a_worker_of_one_projection_uses_all_its_lanes() -> None:
    flow = flow_of("", concurrency=2)
    flow.ended("", 1, clock.monotonic() - 5)
    assert flow.choice(SIZE, probing=True).closed == []


def test_a_declared_projection_alone_uses_all_lanes_until_search_index_has_events() -> None:
    flow = flow_of("one", concurrency=2)
    flow.declare(["one"])
    flow.ended("one", 1, clock.monotonic() - 5)
    assert flow.choice(SIZE, probing=True).closed == []
    flow.claimed("")
    assert flow.choice(SIZE, probing=True).closed == ["one"]


def test_few_events_of_a_new_projection_leave_the_room_of_others_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow = choosing({})
    monkeypatch.setattr(flow._context.in_flight, "events", lambda: 0)
    whole = flow.admit()
    flow.sized("new", Delivery([DONE], [Mock(size=1_000)]), 1, left_out=False)
    monkeypatch.setattr(flow._context.in_flight, "events", lambda: 3 * whole)
    assert flow.choice(SIZE, probing=True).sizes == {"new": FEW}
    assert flow.admit() == whole


@pytest.mark.parametrize(
    ("changes", "room", "found", "spared"),
    [
        ({}, MOST, SIZE, SIZE),
        ({"why": BLOCKED}, MOST, 0, 0),
        ({"limit": 30}, MOST, 30, 60),
        ({"documents": 10, "bytes": 2**20}, MOST, 80, SIZE),
        ({}, 20, 20, 20),
        ({"seconds": 2.0, "pace": 100.0}, MOST, 30, 60),
        ({"seconds": 0.2, "pace": 100.0}, MOST, SIZE, SIZE),
    ],
)
def test_no_more_documents_are_sent_at_once_than_the_sink_and_other_projections_have_room_for(
    changes: dict[str, Any], room: int, found: int, spared: int
) -> None:
    flow = flow_of("other", concurrency=1, bulk_size=SIZE, max_batch_bytes=2**23)
    flow.declare(["one", "other"])
    flow._sink = replace(flow._sink, limit=room)
    flow._indexes["one"] = replace(IndexState(served_at=clock.monotonic()), **changes)
    assert [flow.together("one"), flow.together("one", spare=2)] == [found, spared]
    assert not found or flow.choice(SIZE, probing=False).sizes.get("one", SIZE) in (found, SIZE)
    flow._sink = replace(flow._sink, failures=1)
    assert flow.together("one") == 0


def test_a_new_projection_has_few_documents_together() -> None:
    assert flow_of().together("unknown") == FEW


def test_what_is_neither_declared_nor_in_flight_nor_away_is_forgotten() -> None:
    flow = choosing({"other": 1})
    flow.judged("slow", [MISSING])
    flow.declare(["declared"])
    assert flow.choice(SIZE, probing=True).closed == ["slow"]
    assert set(flow._indexes) == {"slow", "other"}


def test_an_outage_closes_its_own_projection_and_the_next_claim_of_it_is_small() -> None:
    flow = choosing({})
    flow.judged("slow", [MISSING])
    assert flow.choice(SIZE, probing=True).closed == ["slow"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(control, "monotonic", lambda: clock.monotonic() + PAUSE)
        assert flow.choice(SIZE, probing=True) == control.Choice([], {"slow": PROBE_EVENTS})
        assert flow.choice(SIZE, probing=False).closed == ["slow"], "side by side none is probed"
        flow.claimed("slow")
        with ThreadPoolExecutor() as another:
            another.submit(flow.claimed, "slow").result()
            another.submit(flow.end_probe).result()
        assert flow.choice(SIZE, probing=True).closed == ["slow"], "one lane at a time"
        assert flow.next_probe() < inf, "its end is waited for"
        flow.end_probe()
        assert flow.choice(SIZE, probing=True).closed == ["slow"], "and not at once again"
        assert flow.closed() == ["slow"]


BOUND = 8_000_000


def test_claims_are_as_large_as_their_documents_have_room() -> None:
    index = IndexState().sized(1_000, 700_000, left_out=False)
    assert index.size(1_000, BOUND) == 1_000
    index = index.sized(8, 8_000_000, left_out=True)
    assert index.size(1_000, BOUND) == 8


@given(st.lists(st.tuples(st.integers(1, 1_000), st.integers(1, 10**9), st.booleans())))
def test_there_is_always_one_and_never_more_than_most(batches: list[tuple[int, int, bool]]) -> None:
    index = IndexState()
    for documents, each, left_out in batches:
        index = index.sized(documents, documents * each, left_out=left_out)
        assert 1 <= index.size(1_000, BOUND) <= 1_000


def test_after_a_read_that_took_too_long_claims_are_small_and_grow_again() -> None:
    index, sizes = IndexState().late(500), list[int]()
    while (size := index.size(1_000, BOUND)) < 1_000:
        sizes.append(size)
        index = index.ended(size, 0.1, 0.0, 1_000)
    assert index.ended(1_000, 5.0, 0.0, 1_000).size(1_000, BOUND) == 500, "each keeps a lane for long"
    assert sizes == [8, 16, 32, 64, 128, 256, 512]
    assert IndexState().late(500).ended(3, 0.1, 0.0, 1_000).size(1_000, BOUND) == 8, (
        "a small one says nothing"
    )
    assert IndexState().late(4).size(1_000, BOUND) == 1
    assert IndexState().late(500).ended(500, 5.0, 0.0, 1_000).size(1_000, BOUND) == 8, "not half of it"


@pytest.mark.parametrize(
    ("sent", "limits"),
    [
        pytest.param([(1_000, SILENT)], [100], id="more than a hundred"),
        pytest.param(
            [(1_000, SILENT), (100, SILENT), (10, SILENT), (1, SILENT)], [100, 10, 1, 1], id="again"
        ),
        pytest.param([(40, SILENT), (1_000, SILENT)], [10, 10], id="another lane had claimed more before"),
        pytest.param([(1_000, DEAD_PROXY)], [100], id="a proxy gave up"),
        pytest.param([(1_000, BUSY), (1_000, DEAD), (1_000, OF_ONE_EVENT)], [None] * 3, id="an answer"),
        pytest.param([(1_000, replace(SILENT, refundable=False))], [None], id="the event is known to hang"),
        pytest.param([(1_000, replace(SILENT, unsent=True))], [None], id="not sent"),
    ],
)
def test_claims_of_an_index_become_smaller_each_time_that_it_does_not_answer(
    sent: list[tuple[int, Classification]], limits: list[int | None]
) -> None:
    index, found = IndexState(), list[int | None]()
    for count, finding in sent:
        index = index.record_delivery([("", str(n)) for n in range(count)], [finding] * count, 100.0)
        found.append(index.limit)
    assert found == limits


def test_claims_stay_limit_held_until_what_had_no_answer_is_claimed_again_and_then_grow() -> None:
    index = IndexState().record_delivery([("", str(n)) for n in range(1_000)], [SILENT] * 1_000, 100.0)
    assert index.ended(100, 0.1, 101.0, 1_000).limit == 100
    assert index.ended(100, 0.1, 100.0 + LIMIT_HOLD_SECONDS, 1_000).limit == 200


@given(
    st.lists(
        st.tuples(st.integers(1, 1_000), st.sampled_from([SILENT, DEAD_PROXY, MALFORMED]), st.floats(0, 30))
    )
)
def test_whatever_had_no_answer_claims_are_full_again_within_a_minute(
    deliveries: list[tuple[int, Classification, float]],
) -> None:
    index, now = IndexState(), 100.0
    for count, finding, seconds in deliveries:
        index = index.record_delivery([("", str(n)) for n in range(count)], [finding] * count, now)
        index = index.ended(count, seconds, now, 1_000)
        assert 1 <= index.size(1_000, BOUND) <= 1_000
        now += seconds
    healed = now
    while (size := index.size(1_000, BOUND)) < 1_000:
        now += 0.5
        assert now < healed + 60
        index = index.ended(size, 0.5, now, 1_000)


def test_a_document_that_was_alone_without_an_answer_is_suspect_until_it_is_answered() -> None:
    """By index and id: each index of a projection may have a document 7."""
    one, same_id = ("a", "7"), ("b", "7")
    index = IndexState().record_delivery([one, same_id], [SILENT, SILENT], 100.0)
    assert not index.suspects, "neither was alone"
    index = index.record_delivery([one, same_id], [SILENT, DONE], 100.0)
    assert index.suspects == {one}
    for finding in (SILENT, BUSY, NOT_SENT, None):
        index = index.record_delivery([one], [finding], 100.0)
    assert index.record_delivery([same_id], [DONE], 100.0).suspects == {one}
    assert index.record_delivery([one], [MALFORMED], 100.0).suspects == set()


@pytest.mark.parametrize(
    ("finding", "suspect", "characters", "needed"),
    [
        (SILENT, False, 10, False),
        (SILENT, True, 10, True),
        (DEAD_PROXY, True, 10, True),
        (DONE, True, 10, False),
        (SICK, True, 10, False),
        (None, True, 10, False),
        (BUSY, True, 10, False),
        (BUSY, False, LARGE_DOCUMENT + 1, True),
    ],
)
def test_an_attempt_counts_only_for_a_suspect_without_an_answer_or_a_large_document(
    finding: Classification | None, suspect: bool, characters: int, needed: bool
) -> None:
    """And only where the engine accepts a probe then."""
    assert needs_probe(finding, suspect=suspect, characters=characters) is needed
