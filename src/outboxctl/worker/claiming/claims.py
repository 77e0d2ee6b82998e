"""One claim: the statement, and the batch that it returns."""

from outboxctl.core.delivery.claim import Taken, Traces, claim, traces
from outboxctl.core.refused_reads import refused
from outboxctl.domain.errors import OutboxctlError
from outboxctl.worker.claiming.leases import Batch, Lease
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import Choice


class Claims:
    """Claims batches from the database; several lanes may call `take` at once."""

    def __init__(self, context: WorkerContext) -> None:
        self._context, self._in_flight = context, context.in_flight

    def take(
        self,
        lease: Lease,
        *,
        choice: Choice,
        exclusive: bool = False,
        after: str = "",
        only: str | None = None,
    ) -> Batch | None:
        """Claim up to `lease.size` events of one projection, of reclaimed ones alone if `exclusive`.

        None where none is due. The batch is in flight from here on, if it has an event: one without says that
        others are at the events of its projection. `after` and `only` as `core.delivery.claim.claim`.
        """
        taken, traces_ = self._ask(lease, choice, after, only, exclusive=exclusive)
        self._context.reporter.succeeded()
        if taken.name is None:
            return None
        lease.size, lease.name = len(taken.events), taken.name
        if taken.events:
            self._in_flight.add(lease, exclusive=exclusive)
        return Batch(lease, taken.events, exclusive, traces_, taken.name, taken.others)

    def _ask(
        self, lease: Lease, choice: Choice, after: str, only: str | None, *, exclusive: bool
    ) -> tuple[Taken, Traces]:
        s, traced, sent = self._context.settings, self._context.tracing, False
        try:
            with self._context.database.begin() as connection:
                if self._context.signals.stopping:  # connecting may have taken seconds
                    return Taken(None, []), ()
                sent = True
                taken = claim(
                    connection,
                    owner=s.worker_id,
                    token=lease.token,
                    size=lease.size,
                    lease=s.lease_seconds,
                    after=after,
                    only=only,
                    reclaimed=exclusive,
                    closed=choice.closed,
                    sizes=choice.sizes,
                    commit=traced is None,
                )
                return taken, traces(connection, [event.id for event in taken.events]) if traced else ()
        except OutboxctlError as error:
            if sent and not refused(error):  # else nothing was claimed
                self._in_flight.answer_lost(lease.token)  # it may have committed
            raise
