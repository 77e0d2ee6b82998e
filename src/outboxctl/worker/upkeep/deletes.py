"""Sending delivered deletes again: a write that was held up on its way may have come after them.

An index forgets a delete with its tombstone, and takes an older write then (docs/adr/0004). So each delete is
sent again after a lease, when no worker sends any more what it had read before, and for the last time when
nothing that was sent can be on its way. Where rows have versions of their own, a row that is made again may
have that of the delete: an event has the document read again instead.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

import structlog

from outboxctl.core.delivery import deletes
from outboxctl.core.delivery.deletes import DueDelete
from outboxctl.core.projections import events
from outboxctl.domain.backoff import Pauses
from outboxctl.domain.clock import Deadline, monotonic
from outboxctl.domain.failures import Classification, Noop, Verdict
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, is_hash
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, IndexedSink, Sink
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl
from outboxctl.worker.projections.reading import Declared
from outboxctl.worker.settling import tally

log = structlog.get_logger()
GONE = "index_not_found_exception"
SUPERSEDED = "superseded"  # a newer version is there, over which nothing older wins
RESULTS = {Noop.DELETE_MISSING: "missing", Noop.SUPERSEDED: SUPERSEDED, None: "deleted"}  # for the metrics
CAME_BACK = "documents that were deleted had come back by a write that was late: they were deleted again"


class DeletesAgain:
    """Sends what is due, batch by batch; one thread at a time calls `turn`.

    What this worker takes for the last time and does not remove is due again a lease later, for any worker.
    """

    def __init__(
        self,
        context: WorkerContext,
        sink: Sink,
        declared: Declared,
        sink_of: Callable[[Projection], IndexedSink],
        flow: FlowControl,
    ) -> None:
        self._context, self._settings, self._database = context, context.settings, context.database
        self._sink, self._declared, self._sink_of, self._flow = sink, declared, sink_of, flow
        rng, s = Random(), context.settings  # noqa: S311 - jitter, not a secret
        self._refused = defaultdict[str, Pauses](  # by projection
            partial(Pauses, s.base_backoff_seconds, s.max_backoff_seconds, rng)
        )

    def turn(self) -> None:
        """Send until nothing is due, no index takes it, or the worker stops; an error is reported."""
        with self._context.reporter.reporting("deletes"):
            with self._database.begin() as connection:
                due = deletes.due(connection)
            names = [name for name in due if self._refused[name].due(monotonic())]
            while names and not self._context.signals.stopping and not self._flow.away:
                names = [name for name in names if self._batch(name)]

    def _batch(self, name: str) -> bool:
        """Send one batch of a projection; whether its index took some, and more may be due."""
        sink = self._sink if name == PROJECTION else self._sink_of_declared(name)
        if sink is None:
            return False
        began, s = monotonic(), self._settings
        with self._database.begin() as connection:
            taken = deletes.take(
                connection, name, size=s.bulk_size, lease=s.lease_seconds, last=s.last_delete_seconds
            )
        if not taken:
            return False
        if name != PROJECTION and self._looked_at(name, taken):
            return True
        deadline = Deadline(began + s.delivery_seconds)
        actions = [
            BulkAction(each.document_id, each.version, None, each.routing, each.alias) for each in taken
        ]
        with self._context.untraced():
            delivery = sink.deliver(actions, deadline=deadline)
        return self._answered(name, taken, actions, delivery)

    def _looked_at(self, name: str, taken: Sequence[DueDelete]) -> bool:
        projection = self._declared.get(name)
        if projection is None or not projection.version:
            return False
        own = (key for each in taken if (key := projection.key_in(each.document_id)) is not None)
        keys = [key for key in own if not is_hash(key)]
        with self._database.begin() as connection:
            events.write(connection, name, keys, op="delete")
            deletes.remove(connection, [each.id for each in taken if each.last])
        return True

    def _sink_of_declared(self, name: str) -> Sink | None:
        projection = self._declared.get(name)
        if projection:
            return self._sink_of(projection)
        with self._database.begin() as connection:  # it was dropped
            deletes.drop(connection, name)
        return None

    def _answered(
        self, name: str, taken: Sequence[DueDelete], actions: Sequence[BulkAction], delivery: Delivery
    ) -> bool:
        metrics = self._context.of(name).metrics
        tally.deliveries(metrics, actions, delivery)
        answered = {
            each: result
            for each, finding in zip(taken, delivery.findings, strict=True)
            if (result := _result(finding, parted=bool(each.alias)))
        }
        if not answered:
            self._refused[name].failed(monotonic())
            return False
        self._refused[name].ended()
        if last := [each.id for each, result in answered.items() if each.last or result == SUPERSEDED]:
            with self._database.begin() as connection:
                deletes.remove(connection, last)
        for result in answered.values():
            metrics.count("deletes", 1, result)
        if back := [each.document_id for each, result in answered.items() if result == "deleted"]:
            log.warning(CAME_BACK, projection=name, documents=len(back), example=brief(min(back)))
        return True


def _result(finding: Classification | None, *, parted: bool) -> str:
    """The word for the metrics; empty where the delete has to be sent again as it is.

    One that fails for good is treated as sent: no answer to it will be another one.
    """
    if finding and parted and GONE in finding.error:  # an index of a value that is no more
        return RESULTS[Noop.DELETE_MISSING]
    if finding is None or finding.verdict not in (Verdict.DONE, Verdict.FAIL):
        return ""
    return "failed" if finding.verdict is Verdict.FAIL else RESULTS.get(finding.noop, "missing")
