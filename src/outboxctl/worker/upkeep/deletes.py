"""Repeats delivered deletes: an older write that was held up may have arrived after them (docs/adr/0004)."""

from collections.abc import Sequence

import structlog

from outboxctl.core.delivery import deletes, places
from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.deletes import DeliveredDelete
from outboxctl.core.delivery.places import DocumentPlace
from outboxctl.core.message import send
from outboxctl.core.schema.names import PLAN
from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import DONE, Reason, Verdict
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.worker.claiming.leases import Batch, Lease
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl
from outboxctl.worker.lane.delivering import Delivering
from outboxctl.worker.projections.reading import Declared

log = structlog.get_logger()
FINAL_VERDICTS = (Verdict.DONE, Verdict.FAIL)
# Of a row that was created again, with a version below that of the delete or of the index.
ROW_IS_BACK = (Reason.SOURCE_NOT_VISIBLE, Reason.BAD_DOCUMENT)
CAME_BACK = "documents that were deleted had come back by a write that was late: they were deleted again"


class DeleteRepeater:
    """Delivers due deletes as events that have no row; one thread at a time calls `turn`."""

    def __init__(
        self, context: WorkerContext, declared: Declared, delivering: Delivering, flow: FlowControl
    ) -> None:
        self._context, self._database = context, context.database
        self._declared, self._delivering, self._flow = declared, delivering, flow

    def turn(self) -> None:
        """Deliver what is due until the worker stops, or what is left is refused."""
        refused = list[str]()
        try:
            with self._context.reporter.reporting("deletes"):
                while not self._context.signals.stopping and self._deliver_batch(refused):
                    pass
        finally:
            self._flow.end_probe()

    def _deliver_batch(self, refused: list[str]) -> bool:
        """Deliver due deletes of a projection that is not `refused`; return False if there are none."""
        if self._flow.away and not self._flow.admit():
            return False
        s, began = self._context.settings, monotonic()
        limits = {"lease": s.lease_seconds, "last": s.last_delete_seconds}
        with self._database.begin() as connection:
            taken = deletes.take(connection, size=s.bulk_size, refused=refused, **limits)
        if taken and not self._deliver(taken, Lease("", s.lease_seconds, len(taken), requested_at=began)):
            refused.append(taken[0].projection)
        return bool(taken)

    def _deliver(self, taken: Sequence[DeliveredDelete], lease: Lease) -> bool:
        """Deliver deletes of one projection; return whether some of them need no further try."""
        name = taken[0].projection
        projection = None if name == PROJECTION else self._declared.get(name)
        if name != PROJECTION and not projection:  # it was dropped a moment ago
            return False
        of = projection.key_in if projection else str
        keys = [of(each.document_id) or "" for each in taken]
        if projection and projection.parted:  # the key's document may be in another index by now
            known = [
                DocumentPlace(name, key, each.alias, projection.id_of(key))
                for key, each in zip(keys, taken, strict=True)
                if each.alias
            ]
            with self._database.begin() as connection:
                places.note(connection, known)
        pairs = zip(keys, taken, strict=True)
        events = [Claimed(str(n), key, "delete", each.version, 1) for n, (key, each) in enumerate(pairs)]
        batch = Batch(lease, events, exclusive=False, name=projection.name if projection else "")
        with self._context.untraced():
            judged, answered = self._delivering.deliver(batch, events)
        over = [
            int(event.id)
            for event, each in judged
            if each.verdict in FINAL_VERDICTS or each.reason in ROW_IS_BACK
        ]
        with self._database.begin() as connection:
            deletes.remove(connection, [taken[n] for n in over])
            if answered.places:
                send(connection, PLAN, *places.settling([*answered.places.values()]))
        found = [event.document_id for event, each in judged if each == DONE and event.id in answered.deletes]
        metrics = self._context.of(name).metrics
        metrics.count("deletes", len(over) - len(found), "missing")
        metrics.count("deletes", len(found), "deleted")
        if found:
            log.warning(CAME_BACK, projection=name, documents=len(found), example=brief(min(found)))
        return bool(over)
