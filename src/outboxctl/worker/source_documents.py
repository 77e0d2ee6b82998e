"""Reading the documents of events of search_index apart from their claim, where one of them made it fail."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import structlog

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import LEFT_OUT, Claimed
from outboxctl.core.documents import source_rows
from outboxctl.core.documents.source_rows import SourceDocument
from outboxctl.core.refused_reads import ReadRefusedError, by_halves
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.printable import brief

Refusals = Mapping[str, Classification]  # by document id, of documents that could not be read
TOO_LATE = "it takes longer than the lease (OUTBOX_LEASE_SECONDS) allows"
log = structlog.get_logger()
SHARE = 0.5  # of the time left, for several documents: the rest is for their halves, and the sink
MOST_REFUSALS = 100  # rows that cannot be read, of a few statements each: then others have a turn
LEAST = 1.0  # seconds to read no key
Found = TypeVar("Found")


def require_readable(database: Database, *, seconds: float) -> None:
    """Raise OutboxctlError where no row of search_index can be read."""
    _read(database, None, [], seconds)


def with_documents(
    database: Database, events: Sequence[Claimed], *, deadline: Deadline, max_bytes: int | None
) -> tuple[list[Claimed], Refusals]:
    """The events with their documents, each entity read once; what becomes of those that cannot be read.

    One that takes longer than until `deadline` is retried, and its attempt counts: at another time the server
    may be faster. Raises OutboxctlError where the database cannot be used, or no row can be read.
    """
    ids = list(dict.fromkeys(event.document_id for event in events if event.document == LEFT_OUT))
    read, refusals = dict[str, SourceDocument](), dict[str, Classification]()
    # The first one alone: where the claim measures, only that one can be too large to be read.
    waiting: list[Sequence[str]] = [each for each in (ids[1:], ids[:1]) if each]

    def with_room(some: Sequence[str], seconds: float) -> list[SourceDocument]:
        return _read(database, max_bytes, some, seconds)

    for some, found in in_time(waiting, with_room, deadline):
        if isinstance(found, ReadRefusedError):
            refusals[some[0]] = _refused(found)
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


def _read(
    database: Database, max_bytes: int | None, ids: Sequence[str], seconds: float
) -> list[SourceDocument]:
    keys = [(kind, id_) for kind, _, id_ in (each.rpartition(":") for each in ids)]
    with database.begin() as connection:
        return source_rows.documents(connection, keys, seconds=seconds, max_bytes=max_bytes)


def _refused(error: ReadRefusedError) -> Classification:
    return _bad(Verdict.RETRY if error.passes else Verdict.FAIL, f"{error.state} {error.words}")


def _bad(verdict: Verdict, why: str) -> Classification:
    text = brief(f"the document cannot be read from its source row: {why}")
    return Classification(verdict, Reason.BAD_DOCUMENT, error=text)


def in_time(
    waiting: list[Sequence[str]], read: Callable[[Sequence[str], float], Found], deadline: Deadline
) -> Iterator[tuple[Sequence[str], Found | ReadRefusedError]]:
    """As `by_halves`, of `read` with the seconds that it may take; keys that are not returned are not read.

    Raises ReadRefusedError where no key can be read, and what else `read` raises.
    """

    def timed(some: Sequence[str]) -> Found:
        seconds = deadline.seconds_left() * (SHARE if len(some) > 1 else 1)
        if not some:  # what became of the row before depends on it
            seconds = max(seconds, LEAST)
        if seconds <= 0:
            raise _TimeOverError
        try:
            return read(some, seconds)
        except ReadRefusedError as error:
            if error.late and len(some) > 1:
                log.warning("documents take too long: they are read by halves", documents=len(some))
            raise

    refusals = 0
    with suppress(_TimeOverError):
        for some, found in by_halves(waiting, timed):
            yield some, found
            refusals += isinstance(found, ReadRefusedError)
            if refusals >= MOST_REFUSALS:
                return


class _TimeOverError(Exception):
    """The time for reading is over."""
