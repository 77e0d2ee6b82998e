"""Reading the documents of claimed events: by halves, so that one that cannot be read fails alone."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import structlog

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed, as_claimed
from outboxctl.core.delivery.places import PlaceWrite
from outboxctl.core.documents.placing import SendPlan
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.projections import in_force
from outboxctl.core.projections.document_sql import LEFT_OUT
from outboxctl.core.projections.documents import Documents
from outboxctl.core.refused_reads import ReadRefusedError, by_halves
from outboxctl.domain.clock import Deadline, monotonic
from outboxctl.domain.failures import Classification, Noop, Reason, Verdict, waits_for
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.metrics.registry import Metrics
from outboxctl.worker.lane.prepare import PART, UNSENT, never

log = structlog.get_logger()
FRESH = 0.8  # seconds that declarations are kept: an `apply` is taken up within one
SHARE = 0.5  # of the time left, for several documents: the rest is for their halves, and the sink
MOST_REFUSALS = 100  # rows that cannot be read, of a few statements each: then others have a turn
LEAST = 1.0  # seconds to read no key
# No engine takes an empty _id: there is no document to delete.
NEVER_WAS = Classification(Verdict.DONE, noop=Noop.SOURCE_MISSING, unsent=True)
UNCHANGED = Classification(Verdict.DONE, noop=Noop.UNCHANGED, unsent=True)

TOO_LATE = "it takes longer than the lease (OUTBOX_LEASE_SECONDS) allows"

Judged = list[tuple[Claimed, Classification]]


class Declared:
    """The projections in force, read again every second for all threads.

    What is kept may be out of date: each statement that reads documents compares it with what is in force in
    its own snapshot (`documents.read`), and so does the claim of a follow event. Raises OutboxctlError.
    """

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database, self._metrics = database, metrics
        self._lock = threading.Lock()
        self._kept, self._known = in_force.Kept(), list[Projection]()
        self._projections: dict[str, Projection] = {}
        self._read_at = float("-inf")

    def get(self, name: str, *, now: bool = False) -> Projection | None:
        """The projection of this name as it was at most a second ago, or `now`; None if none is in force."""
        with self._lock:
            if now or name not in self._projections or monotonic() - self._read_at > FRESH:
                self._read()
            return self._projections.get(name)

    def _read(self) -> None:
        began = monotonic()
        with self._database.begin() as connection:
            read = self._kept.read(connection)
        if read is not self._known:
            for each in read:
                self._metrics.declare(each.name)
            self._known, self._projections = read, {each.name: each for each in read}
        self._read_at = began


class Reading:
    """One reading of the documents of events, each key once, in statements that end before `deadline`.

    `read` are the events with their documents, `judged` those without one and what becomes of them.
    `routings` are those of documents by id, `aliases` by event the index where a column chooses it. Events of
    one key share what one statement returned: a document with the version of another read would supersede
    what was delivered between both. `left_out`: for some there was no room; `late`: one took too long.
    `blocked`: the source cannot be read at all. `held`: by event id, the versions that the index had of
    documents that it refused to delete.
    An event whose key has several addresses has a part for each, with its id and PART; `places`: by event or
    part, what becomes of its place once that is done.
    """

    def __init__(
        self,
        source: DocumentSource,
        database: Database,
        *,
        deadline: Deadline,
        max_bytes: int,
        held: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._source, self._database, self._held = source, database, held
        self._deadline, self._max_bytes = deadline, max_bytes
        self._unread = dict[str, Claimed]()  # an event of each key
        self._more = dict[str, list[Claimed]]()  # the others of those keys that have several
        self.read: list[Claimed] = []
        self.judged: Judged = []
        self.routings: dict[tuple[str, str], str] = {}
        self.aliases: dict[str, str] = {}
        self.places = dict[str, PlaceWrite]()
        self.left_out = self.late = False
        self.blocked: Classification | None = None

    def run(self, events: Sequence[Claimed]) -> "Reading":
        """Read the documents of these events.

        Raises ChangedError where another declaration is in force, other OutboxctlErrors where the database
        cannot be used.
        """
        keys = [event.document_id for event in events]
        self._unread = dict(zip(keys, events, strict=True))
        if len(self._unread) < len(keys):
            for event in events:
                if event is not self._unread[event.document_id]:
                    self._more.setdefault(event.document_id, []).append(event)
        for key, why in self._source.not_keys(keys).items():
            self._judge(key, never(why))
        self._read([*self._unread])
        for key in [*self._unread]:
            self._judge(key, self.blocked or UNSENT)
        if any(finding is not UNSENT for _, finding in self.judged):
            with self._database.begin() as connection:  # it may be readable as it is declared by now
                self._source.require(connection)
        return self

    def _read(self, keys: Sequence[str]) -> None:
        refusals = 0
        try:
            for some, found in by_halves([keys] if keys else [], self._documents):
                if isinstance(found, ReadRefusedError):
                    self._refused(some[0], found)
                    refusals += 1
                    if refusals >= MOST_REFUSALS:
                        return
                elif len(keys) == 1 and self._deadline.seconds_left() <= 0:
                    self._judge(some[0], _bad_document(Verdict.RETRY, self._why(TOO_LATE)))
                else:
                    self._take(some, found)
        except _TimeOverError:
            return
        except ReadRefusedError as error:
            why = f"{self._source.place} cannot be read: {error.words}"
            self.blocked = replace(waits_for(Reason.CONFIG, why), own_text=False)

    def _documents(self, keys: Sequence[str]) -> Documents:
        seconds = self._deadline.seconds_left() * (SHARE if len(keys) > 1 else 1)
        if not keys:  # what became of the row before depends on it
            seconds = max(seconds, LEAST)
        if seconds <= 0:
            raise _TimeOverError
        try:
            return self._source.latest(self._database, keys, seconds=seconds, max_bytes=self._max_bytes)
        except ReadRefusedError as error:
            self.late = self.late or error.late
            if error.late and len(keys) > 1:
                log.warning("documents take too long: they are read by halves", documents=len(keys))
            raise

    def _take(self, keys: Sequence[str], found: Documents) -> None:
        texts, versions = found.texts, found.versions or [found.version] * len(keys)
        length = sum(map(len, filter(None, texts)))
        self._max_bytes = max(1, self._max_bytes - length)  # the other halves have the rest of it
        if found.sent:
            self._take_placed(keys, found)
            return
        if found.routings:
            ids = map(self._source.projection.id_of, keys)
            self.routings.update(((id_, ""), r) for id_, r in zip(ids, found.routings, strict=True))
        if self._source.versioned and not self._more and LEFT_OUT not in texts:  # the hot path
            events = map(self._unread.pop, keys)
            rows = zip(events, versions, texts, strict=True)
            self.read += [as_claimed((*event[:5], version, text, None)) for event, version, text in rows]
            return
        for place, (key, version, text) in enumerate(zip(keys, versions, texts, strict=True)):
            if place in found.unusable:
                self._judge(key, _bad_document(Verdict.FAIL, found.unusable[place]))
            elif text is None and not key:
                self._judge(key, NEVER_WAS)
            elif text == LEFT_OUT:
                self.left_out = True
                self._judge(key, UNSENT)
            else:
                self.read += self._with_document(key, version, text)

    def _take_placed(self, keys: Sequence[str], found: Documents) -> None:
        routings = found.routings or [""] * len(keys)
        rows = zip(keys, found.texts, found.sent, routings, strict=True)
        for n, (key, text, plan, routing) in enumerate(rows):
            if n in found.unusable:
                self._judge(key, _bad_document(Verdict.FAIL, found.unusable[n]))
            elif text == LEFT_OUT:
                self.left_out = True
                self._judge(key, UNSENT)
            elif plan.blocked_by:
                why = f"{plan.blocked_by}; `outboxctl projection apply` makes it"
                self._judge(key, waits_for(Reason.INDEX_UNAVAILABLE, why))
            elif plan.unchanged:
                self._judge(key, UNCHANGED)
            else:
                self._take_parts(key, found.version, text, routing, plan)

    def _take_parts(
        self, key: str, version: int | None, text: str | None, routing: str, plan: SendPlan
    ) -> None:
        """An event for each address; without one there is nothing to send."""
        parted = self._source.projection.parted
        addresses = [*filter(None, [plan.target]), *plan.delete_from]
        self.routings.update(((each.id, each.alias if parted else ""), routing) for each in addresses)
        for event in self._events(key):
            if not addresses:
                self.judged.append((event, NEVER_WAS))
            for n, address in enumerate(addresses):
                part = f"{event.id}{PART}{n}" if n else event.id
                document = text if address == plan.target else None
                self.read.append(
                    Claimed(part, address.id, event.op, version, event.attempts, version, document)
                )
                if parted:
                    self.aliases[part] = address.alias
                if address in plan.writes:
                    self.places[part] = plan.writes[address]

    def _with_document(self, key: str, version: int | None, text: str | None) -> Iterator[Claimed]:
        if self._source.versioned:
            for event in self._events(key):
                yield event._replace(source_version=version, document=text)
            return
        id_ = self._source.projection.id_of(key)
        for event in self._events(key):
            sent = self._of_delete(event) if version is None else version
            yield Claimed(event.id, id_, event.op, sent, event.attempts, sent, text)

    def _of_delete(self, event: Claimed) -> int:
        """The version of a delete where rows have versions of their own."""
        return max(event.event_version or 0, self._held.get(event.id, 0))

    def _refused(self, key: str, error: ReadRefusedError) -> None:
        verdict = Verdict.RETRY if error.passes else Verdict.FAIL
        self._judge(key, _bad_document(verdict, self._why(f"{error.state} {error.words}".strip())))

    def _why(self, words: str) -> str:
        return f"the document cannot be read from {self._source.place}: {words}"

    def _judge(self, key: str, finding: Classification) -> None:
        self.judged += [(event, finding) for event in self._events(key)]

    def _events(self, key: str) -> list[Claimed]:
        return [self._unread.pop(key), *self._more.pop(key, ())]


def of_events(judged: Judged) -> Judged:
    """What becomes of events by what became of their parts: the worst, or of the event's own document."""
    if not any(PART in event.id for event, _ in judged):
        return judged
    found = dict[str, tuple[Claimed, Classification]]()
    for event, finding in judged:
        id_ = event.id.partition(PART)[0]
        first = found.get(id_)
        own = event.id == id_
        if first is None:
            found[id_] = event._replace(id=id_), finding
        elif _worse(finding, first[1]) or (own and not _worse(first[1], finding)):
            found[id_] = (event if own else first[0])._replace(id=id_), finding
    return [*found.values()]


def _worse(one: Classification, other: Classification) -> bool:
    """A document that met a newer version is read again: only what fails is worse."""
    rank = [each.noop is Noop.SUPERSEDED or 2 * (each.verdict is not Verdict.DONE) for each in (one, other)]
    return rank[0] > rank[1]


def _bad_document(verdict: Verdict, why: str) -> Classification:
    return Classification(verdict, Reason.BAD_DOCUMENT, error=brief(why), unsent=True)


class _TimeOverError(Exception):
    """The time for reading is over."""
