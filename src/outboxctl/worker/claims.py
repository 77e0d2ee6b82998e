"""One claim: the statement, what it shows about the size of claims, and the batch that it returns."""

from collections.abc import Sequence

import structlog

from outboxctl.core.delivery.claim import Claimed, Traces, claim, traces
from outboxctl.core.refused_reads import refused
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import CutOffError, LimitError, OutboxctlError
from outboxctl.worker.batch_sizer import BatchSizer
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.lease import Batch, Lease
from outboxctl.worker.source_documents import Refusals, require_readable, with_documents

log = structlog.get_logger()
LATE = 0.5  # of a lease: a claim that takes longer leaves too little of it for the sink


class SmallerError(Exception):
    """A claim failed for its size: the next one is smaller."""


class Claims:
    """Claims batches from the database; several lanes may call `take` at once."""

    def __init__(self, context: WorkerContext, batch_sizer: BatchSizer) -> None:
        self._settings, self._database, self._reporter = context.settings, context.database, context.reporter
        self._in_flight, self._signals, self._tracing = context.in_flight, context.signals, context.tracing
        self._batch_sizer = batch_sizer

    def take(self, lease: Lease, *, exclusive: bool) -> Batch | None:
        """Claim up to `lease.size` events, of reclaimed ones alone if `exclusive`; None where none is due.

        The batch is in flight from here on. Raises SmallerError where the claim was too large, OutboxctlError
        where it failed otherwise.
        """
        apart = self._batch_sizer.take_unread()
        size = 1 if apart else lease.size
        try:
            events, traces_ = self._ask(lease.token, size, exclusive=exclusive, read=not apart)
        except _DocumentError:
            apart = True
            events, traces_ = self._ask(lease.token, size, exclusive=exclusive, read=False)
        self._reporter.succeeded()
        if not events:
            return None
        lease.size = len(events)
        self._in_flight.add(lease, exclusive=exclusive)
        if apart:
            events, refusals = self._read(events, lease)
            return Batch(lease, events, exclusive, traces_, refusals)
        self._learn(lease)
        return Batch(lease, events, exclusive, traces_)

    def _read(self, events: Sequence[Claimed], lease: Lease) -> tuple[list[Claimed], Refusals]:
        most = self._settings.max_batch_bytes
        try:
            return with_documents(self._database, events, deadline=lease.deadline, max_bytes=most)
        except OutboxctlError:
            self._in_flight.answer_lost(lease.token)
            self._in_flight.remove(lease.token)
            raise

    def _learn(self, lease: Lease) -> None:
        """Whether a claim of this size comes in time."""
        if monotonic() - lease.requested_at > LATE * self._settings.lease_seconds:
            self._batch_sizer.failed(lease.size, by_one=False)
        else:
            self._batch_sizer.succeeded(lease.size)

    def _ask(self, token: str, size: int, *, exclusive: bool, read: bool) -> tuple[list[Claimed], Traces]:
        s, sent = self._settings, False
        if self._signals.stopping:
            return [], ()
        try:
            with self._database.begin() as connection:
                if self._signals.stopping:  # connecting may have taken seconds
                    return [], ()
                sent = True
                events = claim(
                    connection,
                    owner=s.worker_id,
                    token=token,
                    size=0 if exclusive else size,
                    lease=s.lease_seconds,
                    reclaimed=size if exclusive else 0,
                    max_bytes=s.max_batch_bytes,
                    read=read,
                    measure=self._batch_sizer.measuring,
                    commit=not self._tracing.on,
                )
                if not self._tracing.on:
                    return events, ()
                return events, traces(connection, [event.id for event in events])
        except OutboxctlError as error:
            answered = refused(error)  # so nothing was claimed
            if sent and not answered:
                self._in_flight.answer_lost(token)  # it may have committed
            limit = isinstance(error, LimitError)
            if read and (isinstance(error, CutOffError) or (limit and not self._batch_sizer.measuring)):
                raise self._smaller(size, error, by_one=limit) from error
            if read and answered:
                self._look_at_source(error)
                raise _DocumentError from error
            raise

    def _look_at_source(self, error: OutboxctlError) -> None:
        """Raise the error again unless rows of search_index can be read: a document was at fault then."""
        try:
            require_readable(self._database, seconds=self._settings.lease_seconds)
        except OutboxctlError:
            raise error from error.__cause__
        log.warning("a claim failed: its documents are read by themselves", problem=str(error))

    def _smaller(self, size: int, error: OutboxctlError, *, by_one: bool) -> SmallerError:
        """Have the next claim ask for less; of one document that is too large, measure them all first."""
        if not by_one:
            self._reporter.failed(error)
        self._batch_sizer.failed(size, by_one=by_one)
        log.warning("a claim failed: the next one is smaller", events=size, problem=str(error))
        return SmallerError()


class _DocumentError(Exception):
    """A claim failed, though not for a lock, the time, or a database that is away."""
