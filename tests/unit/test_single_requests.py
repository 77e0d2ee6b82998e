"""Under `hold`: a document on which the engine hangs is found; a node that is away costs no attempt."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import DONE, Answer, Classification, classify
from outboxctl.domain.flow.fault import LARGE_DOCUMENT
from outboxctl.domain.flow.index_state import IndexState
from outboxctl.sink.delivery.bulk import PROBE, BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.flow.single_requests import deliver_suspects_alone, document_of

pytestmark = pytest.mark.no_servers
TIMEOUT = classify(Answer(0, "timeout", "no answer", request=True))
BUSY = classify(Answer(429, "circuit_breaking_exception", "Data too large", request=True))
ACTIONS = [BulkAction(f"block:{n}", 1, "{}") for n in range(300)]
MAX_CLAIMS = 2_000
Hangs = Callable[[Sequence[BulkAction]], bool]


class Engine:
    """Ends a request without an answer where `hangs` says so; `sent` has the ids of each request."""

    def __init__(self, hangs: Hangs, finding: Classification = TIMEOUT) -> None:
        self.hangs, self.finding, self.sent = hangs, finding, list[list[str]]()

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        del deadline
        self.sent.append([action.id for action in actions])
        return Delivery([self.finding if self.hangs(actions) else DONE] * len(actions), [])


def on(*ids: str) -> Hangs:
    """Each request with one of these documents."""
    return lambda actions: any(action.id in ids for action in actions)


def at_fault(engine: Engine) -> set[str]:
    """Claim, deliver and retry until all else is done; the ids of events that lost an attempt."""
    left, blamed, index, now = [*ACTIONS], set[str](), IndexState(), 100.0
    for _ in range(MAX_CLAIMS):
        size = index.limit or 1_000
        some, left = left[:size], left[size:]
        delivery = deliver_suspects_alone(engine, some, index.suspects, Deadline.within(20))
        index = index.record_delivery([*map(document_of, some)], delivery.findings, now)
        index = index.ended(len(some), 0.1, now, 1_000)
        now += 0.1
        pairs = [*zip(some, delivery.findings, strict=True)]
        blamed |= {a.id for a, f in pairs if f and f is not DONE and not (f.refundable or f.attempt_returned)}
        # What was not sent is due at once, the others after their wait.
        waiting = [a for a, f in pairs if f not in (None, DONE) and a.id not in blamed]
        left = [a for a, f in pairs if f is None] + left + waiting
        if not left:
            break
    return blamed


@given(bad=st.integers(0, 299))
def test_a_document_on_which_the_engine_hangs_is_found_and_no_other(bad: int) -> None:
    engine = Engine(on(f"block:{bad}"))
    assert at_fault(engine) == {f"block:{bad}"}
    hung = [some for some in engine.sent if f"block:{bad}" in some]
    assert [len(some) for some in hung[-2:]] == [1, 1], "alone twice"
    assert len(hung) <= 6, "each takes three quarters of a lease"


def test_two_documents_on_which_the_engine_hangs_are_found() -> None:
    assert at_fault(Engine(on("block:3", "block:4"))) == {"block:3", "block:4"}


def test_an_engine_that_answers_nothing_casts_no_doubt_on_an_event() -> None:
    assert at_fault(Engine(lambda _: True)) == set()


def test_a_frozen_node_costs_no_event_an_attempt_while_others_are_delivered() -> None:
    """All requests to its shard hang, those of a probe included."""

    def frozen(actions: Sequence[BulkAction]) -> bool:
        return any((action.routing or action.id) in {"block:1", "block:2"} for action in actions)

    engine = Engine(frozen)
    assert at_fault(engine) == set()
    assert {id_ for some in engine.sent if len(some) == 1 for id_ in some} >= {"block:1", "block:2", PROBE.id}


def test_a_known_suspect_does_not_delay_the_documents_of_its_batch() -> None:
    engine = Engine(on("block:1"))
    suspects = {document_of(ACTIONS[1])}
    findings = deliver_suspects_alone(engine, ACTIONS[:3], suspects, Deadline.within(20)).findings
    assert [finding is DONE for finding in findings] == [True, False, True]
    assert engine.sent == [["block:0", "block:2"], [PROBE.id], ["block:1"], [PROBE.id]]


@pytest.mark.parametrize(("length", "refundable"), [(10, True), (LARGE_DOCUMENT + 1, False)])
def test_a_large_document_that_the_engine_has_never_room_for_ends(length: int, refundable: bool) -> None:
    """Alone, and while the engine takes a small request; a busy engine is no fault of a small document."""
    action = BulkAction("block:1", 1, "x" * length)
    engine = Engine(lambda actions: actions[0].id != PROBE.id, BUSY)
    (found,) = deliver_suspects_alone(engine, [action], (), Deadline.within(20)).findings
    assert found
    assert found.refundable is refundable
