"""One claim: the statement, what it shows about the size of claims, and the batch that it returns."""

from collections.abc import Sequence

import structlog

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import LEFT_OUT, Claimed, Traces, claim, traces
from outboxctl.core.documents import table
from outboxctl.core.documents.table import SourceDocument
from outboxctl.core.refused_reads import ReadRefusedError, refused
from outboxctl.domain.clock import Deadline, monotonic
from outboxctl.domain.errors import CutOffError, LimitError, OutboxctlError
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.worker.claiming.batch_sizer import BatchSizer
from outboxctl.worker.claiming.leases import Batch, Lease
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.projections.reading import in_time

log = structlog.get_logger()
LATE = 0.5  # of a lease: a claim that takes longer leaves too little of it for the sink
TOO_LATE = "it takes longer than the lease (OUTBOX_LEASE_SECONDS) allows"


class SmallerError(Exception):
    """A claim failed for its size: the next one is smaller."""


class Claims:
    """Claims batches from the database; several lanes may call `take` at once."""

    def __init__(self, context: WorkerContext, batch_sizer: BatchSizer) -> None:
        self._context, self._settings, self._database = context, context.settings, context.database
        self._in_flight, self._batch_sizer = context.in_flight, batch_sizer

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
        self._context.reporter.succeeded()
        if not events:
            return None
        lease.size = len(events)
        self._in_flight.add(lease, exclusive=exclusive)
        if apart:
            return self._read(Batch(lease, events, exclusive, traces_))
        if monotonic() - lease.requested_at > LATE * self._settings.lease_seconds:
            self._batch_sizer.failed(lease.size, by_one=False)
        else:
            self._batch_sizer.succeeded(lease.size)
        return Batch(lease, events, exclusive, traces_)

    def _read(self, batch: Batch) -> Batch:
        lease, most = batch.lease, self._settings.max_batch_bytes
        try:
            events, refusals = with_documents(
                self._database, batch.events, deadline=lease.deadline, max_bytes=most
            )
        except OutboxctlError:
            self._in_flight.answer_lost(lease.token)
            self._in_flight.remove(lease.token)
            raise
        return batch._replace(events=events, refusals=refusals)

    def _ask(self, token: str, size: int, *, exclusive: bool, read: bool) -> tuple[list[Claimed], Traces]:
        s, signals, traced, sent = self._settings, self._context.signals, self._context.tracing.on, False
        if signals.stopping:
            return [], ()
        try:
            with self._database.begin() as connection:
                if signals.stopping:  # connecting may have taken seconds
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
                    commit=not traced,
                )
                return events, traces(connection, [event.id for event in events]) if traced else ()
        except OutboxctlError as error:
            answered = refused(error)  # so nothing was claimed
            if sent and not answered:
                self._in_flight.answer_lost(token)  # it may have committed
            limit = isinstance(error, LimitError)
            if read and (isinstance(error, CutOffError) or (limit and not self._batch_sizer.measuring)):
                if not limit:
                    self._context.reporter.failed(error)
                self._batch_sizer.failed(size, by_one=limit)
                log.warning("a claim failed: the next one is smaller", events=size, problem=str(error))
                raise SmallerError from error
            if read and answered:
                self._look_at_source(error)
                raise _DocumentError from error
            raise

    def _look_at_source(self, error: OutboxctlError) -> None:
        """Raise the error again unless rows of search_index can be read: a document was at fault then."""
        try:
            _documents(self._database, [], self._settings.lease_seconds)
        except OutboxctlError:
            raise error from error.__cause__
        log.warning("a claim failed: its documents are read by themselves", problem=str(error))


class _DocumentError(Exception):
    """A claim failed, though not for a lock, the time, or a database that is away."""


def with_documents(
    database: Database, events: Sequence[Claimed], *, deadline: Deadline, max_bytes: int | None
) -> tuple[list[Claimed], dict[str, Classification]]:
    """The events with their documents, each entity read once; what becomes of those that cannot be read.

    One that takes longer than until `deadline` is retried, and its attempt counts: at another time the server
    may be faster. Raises OutboxctlError where the database cannot be used, or no row can be read.
    """
    ids = list(dict.fromkeys(event.document_id for event in events if event.document == LEFT_OUT))
    read, refusals = dict[str, SourceDocument](), dict[str, Classification]()
    # The first one alone: where the claim measures, only that one can be too large to be read.
    waiting: list[Sequence[str]] = [each for each in (ids[1:], ids[:1]) if each]

    def with_room(some: Sequence[str], seconds: float) -> list[SourceDocument]:
        return _documents(database, some, seconds, max_bytes)

    for some, found in in_time(waiting, with_room, deadline):
        if isinstance(found, ReadRefusedError):
            verdict = Verdict.RETRY if found.passes else Verdict.FAIL
            refusals[some[0]] = _bad(verdict, f"{found.state} {found.words}")
            continue
        read.update(zip(some, found, strict=True))
        if max_bytes is not None:  # the other halves have the rest of it
            max_bytes = max(1, max_bytes - sum(len(document or "") for _, document in found))
    if len(ids) == 1 and read and deadline.seconds_left() <= 0:  # it would be too late each time
        return [*events], {ids[0]: _bad(Verdict.RETRY, TOO_LATE)}
    return [_with_document(event, read.get(event.document_id)) for event in events], refusals


def _with_document(event: Claimed, read: SourceDocument | None) -> Claimed:
    if read is None or event.document != LEFT_OUT:
        return event
    version, document = read
    return event._replace(source_version=version, document=document)


def _documents(
    database: Database, ids: Sequence[str], seconds: float, max_bytes: int | None = None
) -> list[SourceDocument]:
    with database.begin() as connection:
        return table.documents(connection, ids, seconds=seconds, max_bytes=max_bytes)


def _bad(verdict: Verdict, why: str) -> Classification:
    text = brief(f"the document cannot be read from its source row: {why}")
    return Classification(verdict, Reason.BAD_DOCUMENT, error=text)
