"""The sink is away: under `count` attempts are spent by few requests, under `hold` none is.

Under `hold` an event that is itself at fault fails, and what delays it delays no other event.
"""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import pytest

from outboxctl.core.database import Database
from outboxctl.domain import clock
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import DONE, Answer, Classification, Reason, Verdict, classify
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.wiring import WorkerParts
from processes import eventually
from scene import Scene
from worker_parts import make_parts, running_lanes

TOTAL, ATTEMPTS, LANES, BASE = 300, 7, 3, 0.2
DEAD = Classification(Verdict.OUTAGE, Reason.CONNECT, error="connect: refused")
REFUSED = Classification(Verdict.OUTAGE, Reason.UNAVAILABLE, error="503")
SICK = classify(Answer(503, "unavailable_shards_exception", "[x][0] primary shard is not active"))
SILENT = classify(Answer(0, "timeout", "no answer", request=True))
SETTINGS: dict[str, Any] = {
    "max_attempts": ATTEMPTS,
    "base_backoff_seconds": BASE,
    "max_backoff_seconds": 2 * BASE,
    "concurrency": LANES,
    "bulk_size": TOTAL,
}


class Sink:
    """Says the same of each action; notes when each delivery began and ended."""

    def __init__(self, finding: Classification) -> None:
        self.finding = finding
        self.deliveries: list[tuple[float, float]] = []
        self._one = threading.Lock()

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        assert deadline.seconds_left() > 0
        began = clock.monotonic()
        finding = self.finding
        with self._one:
            self.deliveries.append((began, clock.monotonic()))
        return Delivery([finding] * len(actions), [])


def lanes_of(db: Database, sink: Sink, **more: Any) -> AbstractContextManager[WorkerParts]:
    """All lanes of a worker, in this process."""
    return running_lanes(make_parts(db, sink, **SETTINGS, **more), LANES)


@pytest.mark.parametrize("finding", [DEAD, REFUSED], ids=["nothing listens", "503 to all"])
def test_one_request_at_a_time_with_pauses_and_attempts_are_spent(
    db: Database, scene: Scene, finding: Classification
) -> None:
    scene.load(TOTAL)
    sink = Sink(finding)
    with lanes_of(db, sink):
        eventually(lambda: scene.count("failed") == TOTAL, what="attempts are spent")
    assert scene.rows("attempts, error_reason") == [(ATTEMPTS, finding.reason)]
    alone = sorted(sink.deliveries)[LANES:]  # the first ones may have met it together
    pauses = [began - ended for (_, ended), (began, _) in pairwise(alone)]
    assert len(pauses) >= ATTEMPTS - LANES - 1  # each attempt is a delivery, more where batches were divided
    assert min(pauses) >= BASE / 2


def test_under_hold_it_is_over_where_nothing_is_due(db: Database, scene: Scene) -> None:
    """Another worker may have delivered the rest: this one must not stay unready for ever."""
    scene.load(1)
    with lanes_of(db, Sink(REFUSED), outage_policy="hold") as parts:
        eventually(lambda: parts.flow.away, what="opened")
        taken = "UPDATE search_outbox_events SET status = 'done' WHERE status = 'pending'"
        eventually(lambda: scene.sql.execute(taken).rowcount, what="taken by somebody else")
        eventually(lambda: not parts.flow.away, what="closed")
        assert "; not seen for " in str(parts.context.health.failing().get("sink")), "it ends by itself"


class PartlyIll(Sink):
    """Answers `finding` for the documents in `ill`, or for each request with one of them if `hangs`."""

    def __init__(self, finding: Classification, ill: set[str], *, hangs: bool) -> None:
        super().__init__(finding)
        self.ill, self.hangs = ill, hangs

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        super().deliver(actions, deadline=deadline)
        found: list[Classification | None] = [
            self.finding if action.id in self.ill else DONE for action in actions
        ]
        if self.hangs and self.finding in found:
            found = [self.finding] * len(actions)
        return Delivery(found, [])


def test_under_hold_events_of_a_shard_that_accepts_no_writes_keep_their_attempts_and_delay_no_other(
    db: Database, scene: Scene
) -> None:
    scene.load(TOTAL)
    ill = {str(document) for (document,) in scene.rows("entity_type || ':' || entity_id")[: TOTAL // 3]}
    sink = PartlyIll(SICK, ill, hangs=False)
    with lanes_of(db, sink, outage_policy="hold") as parts:
        eventually(lambda: scene.count("done") == TOTAL - len(ill), what="all others are delivered")
        tried = len(sink.deliveries)
        eventually(lambda: len(sink.deliveries) > tried + 3 * ATTEMPTS, what="the rest is tried again")
        assert not parts.flow.away
        assert not parts.flow.closed()
        sink.ill = set()
        eventually(lambda: scene.count("done") == TOTAL, what="delivered once their shard accepts writes")
    assert scene.rows("attempts") == [(1,)]


def test_under_hold_an_event_on_which_the_engine_hangs_fails_and_no_other_loses_an_attempt(
    db: Database, scene: Scene
) -> None:
    scene.load(TOTAL)
    (document,) = scene.rows("entity_type || ':' || entity_id")[0]
    sink = PartlyIll(SILENT, {str(document)}, hangs=True)
    with lanes_of(db, sink, outage_policy="hold"):
        eventually(lambda: scene.count("done") == TOTAL - 1, what="all others are delivered")
        eventually(lambda: scene.count("failed") == 1, what="it has spent its attempts")
    counts = "SELECT status, attempts, error_reason, count(*) FROM search_outbox_events GROUP BY 1, 2, 3"
    found = {tuple(row) for row in scene.sql.execute(counts)}
    assert ("failed", ATTEMPTS, "timeout", 1) in found
    assert {(status, attempts) for status, attempts, *_ in found} == {("failed", ATTEMPTS), ("done", 1)}
