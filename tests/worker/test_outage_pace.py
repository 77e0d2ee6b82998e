"""A sink that does not answer under `count`: few requests, one at a time; attempts are counted as before."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from outboxctl.core.database import Database
from outboxctl.domain import clock
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import DONE, Answer, Classification, Reason, Verdict, classify
from outboxctl.drills.proxy import faults
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.circuit import Circuit
from outboxctl.worker.health import Health
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.parts import WorkerParts
from processes import eventually
from scene import Scene

TOTAL, ATTEMPTS, LANES, BASE = 300, 7, 3, 0.2
DEAD = Classification(Verdict.OUTAGE, Reason.CONNECT, error="connect: refused")
SILENT = Classification(Verdict.RETRY, Reason.TIMEOUT, error="timeout", refundable=True)
REFUSED = Classification(Verdict.OUTAGE, Reason.UNAVAILABLE, error="503")
UNAVAILABLE = faults.unavailable(everything=True)
DEAD_PROXY = classify(Answer(502, request=True))
SICK = classify(Answer(503, "unavailable_shards_exception", "[x][0] primary shard is not active"))
MALFORMED = classify(Answer(400, "mapper_parsing_exception", "failed to parse"))
MISSING_INDEX = replace(classify(Answer(404, "index_not_found_exception", request=True)), single=True)
UNAVAILABLE_TO_ONE = replace(REFUSED, single=True)
NOT_SENT = replace(SICK, attempt_returned=True)
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


@contextmanager
def lanes_of(url: str, db: Database, sink: Sink) -> Iterator[WorkerParts]:
    """All lanes of a worker, in this process."""
    parts = WorkerParts(load(database_url=url, **SETTINGS), db, sink, Metrics(), Health(300))
    lanes = [threading.Thread(target=parts.lane(drain=False).run, daemon=True) for _ in range(LANES)]
    for lane in lanes:
        lane.start()
    try:
        yield parts
    finally:
        parts.context.signals.stop()
        for lane in lanes:
            lane.join(30)
            assert not lane.is_alive()


@pytest.mark.parametrize("finding", [DEAD, REFUSED], ids=["nothing listens", "503 to all"])
def test_one_request_at_a_time_with_pauses_and_attempts_are_spent(
    url: str, db: Database, scene: Scene, finding: Classification
) -> None:
    scene.load(TOTAL)
    sink = Sink(finding)
    with lanes_of(url, db, sink):
        eventually(lambda: scene.count("failed") == TOTAL, what="attempts are spent")
    assert scene.rows("attempts, error_reason") == [(ATTEMPTS, finding.reason)]
    alone = sorted(sink.deliveries)[LANES:]  # the first ones may have met it together
    pauses = [began - ended for (_, ended), (began, _) in pairwise(alone)]
    assert len(pauses) >= ATTEMPTS - LANES - 1  # each attempt is a delivery, more where batches were divided
    assert min(pauses) >= BASE / 2


def circuit_of(url: str, db: Database, **more: Any) -> Circuit:
    settings = load(database_url=url, **(SETTINGS | more))
    return WorkerParts(settings, db, Sink(DONE), Metrics(), Health(300)).circuit


@pytest.mark.parametrize(
    ("findings", "opens"),
    [
        pytest.param([[DEAD]], True, id="refused"),
        pytest.param([[SILENT]], False, id="one timeout may be this batch's own"),
        pytest.param([[SILENT], [SILENT]], True, id="two in a row"),
        pytest.param([[SILENT], [DONE], [SILENT]], False, id="something was taken in between"),
        pytest.param([[SILENT], [SILENT, DONE]], False, id="something of it was taken"),
        pytest.param([[REFUSED]], True, id="503 to a whole request"),
        pytest.param([[DEAD], [REFUSED]], True, id="it is there again, and takes nothing yet"),
        pytest.param([[REFUSED, MALFORMED]], False, id="an answer about one event"),
        pytest.param([[MALFORMED], [MALFORMED]], False, id="an answer, though no good one"),
        pytest.param([[DEAD], [MALFORMED]], False, id="it answers again"),
        pytest.param([[DEAD_PROXY], [DEAD_PROXY]], True, id="a proxy before a dead engine, twice in a row"),
        pytest.param([[SICK]], False, id="one shard says nothing about the others"),
        pytest.param([[DEAD], [SICK]], False, id="only one shard takes nothing any more"),
        pytest.param([[MISSING_INDEX], [MISSING_INDEX]], False, id="the index of one projection"),
        pytest.param([[DEAD], [UNAVAILABLE_TO_ONE]], True, id="503 to a projection is no news"),
        pytest.param([[None], [None]], False, id="nothing was sent"),
        pytest.param([[DEAD], [NOT_SENT]], True, id="what was not sent is no answer"),
    ],
)
def test_a_sink_that_takes_nothing_at_all_gets_fewer_requests(
    url: str, db: Database, findings: list[list[Classification | None]], opens: bool
) -> None:
    circuit = circuit_of(url, db)
    for delivered in findings:
        circuit.pace(Delivery(delivered, []))
    assert circuit.breaker.is_open is opens


@pytest.mark.parametrize(
    ("findings", "opens"),
    [
        pytest.param([DEAD_PROXY] * LANES, False, id="one node takes a request of each lane along"),
        pytest.param([SILENT] * (LANES + 1), True, id="repeated"),
        pytest.param(
            [SILENT] * LANES + [DONE] + [SILENT] * LANES, False, id="something was taken in between"
        ),
        pytest.param([DEAD_PROXY] * (LANES + 1), True, id="a proxy before a dead engine"),
        pytest.param([SICK] * 20, False, id="one shard says nothing about the others"),
        pytest.param([SILENT] * LANES + [NOT_SENT] + [SILENT], True, id="what was not sent is no answer"),
    ],
)
def test_under_hold_repeated_silence_is_an_outage_and_a_sick_shard_is_none(
    url: str, db: Database, findings: list[Classification], opens: bool
) -> None:
    circuit = circuit_of(url, db, outage_policy="hold")
    for finding in findings:
        circuit.observe(Delivery([finding], []), Outcomes())
    assert circuit.breaker.is_open is opens
    assert circuit.holds_events is opens
