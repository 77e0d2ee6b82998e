"""The sink is away: under `count` attempts are spent by few requests, under `hold` none is."""

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
from outboxctl.worker.flow import control
from outboxctl.worker.wiring import WorkerParts
from processes import eventually
from scene import Scene
from worker_parts import make_parts, running_lanes

TOTAL, ATTEMPTS, LANES, BASE = 300, 7, 3, 0.2
DEAD = Classification(Verdict.OUTAGE, Reason.CONNECT, error="connect: refused")
REFUSED = Classification(Verdict.OUTAGE, Reason.UNAVAILABLE, error="503")
SICK = classify(Answer(503, "unavailable_shards_exception", "[x][0] primary shard is not active"))
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
        return Delivery([finding] * len(actions), [], recovered=finding is DONE)


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


def test_a_worker_is_not_ready_while_events_wait_for_a_shard(
    db: Database, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though others are delivered: an election of a second is no illness, a red index is."""
    monkeypatch.setattr(control, "ONSET", 0.5)
    scene.load(1)
    sink = Sink(SICK)
    with lanes_of(db, sink, outage_policy="hold") as parts:
        eventually(lambda: sink.deliveries, what="refused")
        assert parts.flow.shard_away() is None, "not at once"
        problem = eventually(parts.flow.shard_away, what="said so")
        own = "unavailable: events of search_index_to_elastic wait for a shard that takes nothing"
        assert (problem.public, "[x][0] primary shard" in problem.text) == (own, True)
        sink.finding = DONE
        eventually(lambda: scene.count("done") == 1, what="delivered")
        assert parts.flow.shard_away() is None
