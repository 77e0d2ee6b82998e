"""Reading the documents of a projection's events: by halves, so that one that cannot be read fails alone."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import TypeVar

import structlog

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.projections import in_force, version_base
from outboxctl.core.projections.documents import Documents
from outboxctl.core.projections.reading import versioned
from outboxctl.core.refused_reads import ReadRefusedError, by_halves
from outboxctl.domain.clock import Deadline, monotonic
from outboxctl.domain.failures import Classification, Noop, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, document_id, key_parts
from outboxctl.metrics.registry import Metrics
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.lane.prepare import UNSENT

log = structlog.get_logger()
FRESH = 0.8  # seconds that declarations are kept: an `apply` is taken up within one
SHARE = 0.5  # of the time left, for several documents: the rest is for their halves, and the sink
MOST_REFUSALS = 100  # rows that cannot be read, of a few statements each: then others have a turn
LEAST = 1.0  # seconds to read no key
# No engine takes an empty _id: there is no document to delete.
NEVER_WAS = Classification(Verdict.DONE, noop=Noop.SOURCE_MISSING)

Judged = list[tuple[Claimed, Classification]]
Found = TypeVar("Found")


class Declared:
    """The projections in force, read again every second for all threads; one of them reads, the others wait.

    What is kept here may be out of date. So each statement that reads documents compares it with what is in
    force in its own snapshot (`documents.read`), and the claim of a follow event does. Raises OutboxctlError
    for a database that cannot be read.
    """

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database, self._metrics = database, metrics
        self._lock = threading.Lock()
        self._projections: dict[str, Projection] = {}
        self._read_at = float("-inf")

    def get(self, name: str) -> Projection | None:
        """The projection of this name as it was at most a second ago; None if none is in force now."""
        with self._lock:
            if name not in self._projections or monotonic() - self._read_at > FRESH:
                self._read()
            return self._projections.get(name)

    def again(self, name: str) -> Projection | None:
        """As `get`, as it is now."""
        with self._lock:
            self._read()
            return self._projections.get(name)

    def _read(self) -> None:
        began = monotonic()
        with self._database.begin() as connection:
            read = in_force.read(connection)
        for each in read:
            self._metrics.declare(each.name)
        self._projections, self._read_at = {each.name: each for each in read}, began


class Reading:
    """One reading of a projection's documents, each key once, in statements that end before `deadline`.

    `read` are the events with their documents, `judged` those without one and what becomes of them.
    `routings` are those of documents by id. Events of one key share what one statement returned: a document
    with the version of another read would supersede what was delivered between both.
    `held`: by event id, the versions that the index had of documents that it refused to delete.
    """

    def __init__(
        self,
        context: WorkerContext,
        projection: Projection,
        *,
        deadline: Deadline,
        max_bytes: int | None,
        held: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._context, self._projection = context, projection
        self._deadline, self._max_bytes, self._held = deadline, max_bytes, held
        self._unread: dict[str, list[Claimed]] = {}  # events by key
        self.read: list[Claimed] = []
        self.judged: Judged = []
        self.routings: dict[str, str] = {}
        self.blocked: Classification | None = None  # once the view cannot be read at all

    def run(self, events: Sequence[Claimed]) -> "Reading":
        """Read the documents of these events.

        Raises ChangedError where another declaration is in force, other OutboxctlErrors where the database
        cannot be used.
        """
        for event in events:
            if self._has_key(event):
                self._unread.setdefault(event.document_id, []).append(event)
        self._read([*self._unread])
        for key in [*self._unread]:
            self._judge(key, self.blocked or UNSENT)
        if any(finding is not UNSENT for _, finding in self.judged):
            self._require_declaration()
        return self

    def _require_declaration(self) -> None:
        """What cannot be read may be readable as it is declared by now."""
        with self._context.database.begin() as connection:
            in_force.require(connection, self._projection)

    def _has_key(self, event: Claimed) -> bool:
        try:
            key_parts(event.document_id, len(self._projection.key))
        except ValueError as error:
            text = brief(f"the event's key is not one of {self._projection.name}: {error}")
            finding = Classification(Verdict.FAIL, Reason.DETERMINISTIC_EXCEPTION, error=text)
            self.judged.append((event, finding))
            return False
        return True

    def _read(self, keys: Sequence[str]) -> None:
        try:
            for some, found in in_time([keys] if keys else [], self._documents, self._deadline):
                if isinstance(found, ReadRefusedError):
                    self._refused(some[0], found)
                else:
                    self._take(some, found)
        except ReadRefusedError as error:
            text = brief(f"config: the view {self._projection.document} cannot be read: {error.words}")
            self.blocked = Classification(Verdict.OUTAGE, Reason.CONFIG, error=text, single=True)

    def _take(self, keys: Sequence[str], found: Documents) -> None:
        for place, (key, text) in enumerate(zip(keys, found.texts, strict=True)):
            if place in found.unusable:
                self._judge(key, _bad_document(Verdict.FAIL, found.unusable[place]))
            elif text is None and not key:
                self._judge(key, NEVER_WAS)
            else:
                version = found.versions[place] if found.versions else found.version
                self.read += self._with_document(key, text, version)
        if self._max_bytes is not None:  # the other halves have the rest of it
            self._max_bytes = max(1, self._max_bytes - sum(map(len, filter(None, found.texts))))
        if found.routings:
            self.routings.update(zip(map(document_id, keys), found.routings, strict=True))

    def _with_document(self, key: str, text: str | None, version: int | None) -> Iterator[Claimed]:
        id_ = document_id(key)
        for event in self._unread.pop(key):
            sent = self._of_delete(event) if version is None else version
            yield event._replace(document_id=id_, event_version=sent, source_version=sent, document=text)

    def _of_delete(self, event: Claimed) -> int:
        """The version of a delete where rows have versions of their own."""
        return max(event.event_version or 0, self._held.get(event.id, 0))

    def _refused(self, key: str, error: ReadRefusedError) -> None:
        verdict = Verdict.RETRY if error.passes else Verdict.FAIL
        why = f"the document cannot be read from {self._projection.document}: {error.words}"
        self._judge(key, _bad_document(verdict, why))

    def _judge(self, key: str, finding: Classification) -> None:
        self.judged += [(event, finding) for event in self._unread.pop(key)]

    def _documents(self, keys: Sequence[str], seconds: float) -> Documents:
        return versioned(
            self._context.database,
            self._projection,
            keys,
            seconds=seconds,
            max_bytes=self._max_bytes,
            raise_base=partial(raise_versions, self._context),
        )


def _bad_document(verdict: Verdict, why: str) -> Classification:
    return Classification(verdict, Reason.BAD_DOCUMENT, error=brief(why))


def raise_versions(context: WorkerContext, *, above: int = -1) -> None:
    """Raise the base of all versions where that is needed, and say so."""
    with context.database.begin() as connection:
        base = version_base.raise_base(connection, above=above)
    if base:
        context.metrics.count("version_base_raised", 1)
        log.warning(
            "the versions of documents were raised: this database was restored, or a standby promoted",
            base=base,
        )


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
