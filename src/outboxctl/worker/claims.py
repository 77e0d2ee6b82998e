"""One claim: the statement, what it shows about the size of claims, and the batch that it returns."""

import structlog

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import LEFT_OUT, Claimed, Traces, claim, traces
from outboxctl.core.documents import source_rows
from outboxctl.domain.clock import Deadline, monotonic
from outboxctl.domain.errors import CutOffError, LimitError, OutboxctlError
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.worker.batch_sizer import BatchSizer
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.lease import Batch, Lease
from outboxctl.worker.prepare import UNSENT

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
        unread = self._batch_sizer.take_unread()
        size = 1 if unread else lease.size
        events, traces_ = self._ask(lease.token, size, exclusive=exclusive, read=not unread)
        self._reporter.succeeded()
        if not events:
            return None
        lease.size = len(events)
        self._in_flight.add(lease, exclusive=exclusive)
        if unread and events[0].document == LEFT_OUT:
            event, left_out = self._read(events[0], lease)
            return Batch(lease, [event], exclusive, traces_, left_out)
        self._learn(lease)
        return Batch(lease, events, exclusive, traces_)

    def _read(self, event: Claimed, lease: Lease) -> tuple[Claimed, Classification]:
        try:
            return read_document(self._database, event, deadline=lease.deadline)
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
            if sent:
                self._in_flight.answer_lost(token)  # it may have committed
            if read and isinstance(error, CutOffError | LimitError):
                raise self._smaller(size, error) from error
            raise

    def _smaller(self, size: int, error: OutboxctlError) -> SmallerError:
        """Have the next claim ask for less. Of what has a limit, only the first document can be too large."""
        by_one = isinstance(error, LimitError)
        if not by_one:
            self._reporter.failed(error)
        self._batch_sizer.failed(size, by_one=by_one)
        log.warning("a claim failed: the next one is smaller", events=size, problem=str(error))
        return SmallerError()


def read_document(
    database: Database, event: Claimed, *, deadline: Deadline
) -> tuple[Claimed, Classification]:
    """The event with its document; where that cannot be read, the event as it is, and its finding.

    A document beyond a limit of the server fails. One that takes longer than until `deadline` is retried,
    and its attempt counts: at another time the server may be faster.
    """
    entity_type, _, entity_id = event.document_id.rpartition(":")
    seconds = deadline.seconds_left()
    if seconds <= 0:  # the claim itself was slow, the document may be small
        return event, UNSENT
    try:
        with database.begin() as connection:
            row = source_rows.one(connection, (entity_type, entity_id), seconds=seconds)
    except LimitError as error:
        return event, _bad(Verdict.FAIL, str(error))
    except CutOffError as error:
        return event, _bad(Verdict.RETRY, str(error))
    if deadline.seconds_left() <= 0:
        return event, _bad(Verdict.RETRY, "it takes longer than the lease (OUTBOX_LEASE_SECONDS) allows")
    return event._replace(source_version=row.version, document=row.document), UNSENT


def _bad(verdict: Verdict, why: str) -> Classification:
    text = brief(f"the document cannot be read from its source row: {why}")
    return Classification(verdict, Reason.BAD_DOCUMENT, error=text)
