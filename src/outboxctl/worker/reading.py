"""Reading the documents of a projection's events: by halves, so that one that cannot be read fails alone."""

from collections.abc import Iterator, Sequence
from functools import partial

import structlog

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.projections import in_force, version_base
from outboxctl.core.projections.documents import Documents
from outboxctl.core.projections.reading import versioned
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Classification, Noop, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, document_id, key_parts
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.prepare import UNSENT
from outboxctl.worker.source_documents import in_time

log = structlog.get_logger()
# No engine takes an empty _id: there is no document to delete.
NEVER_WAS = Classification(Verdict.DONE, noop=Noop.SOURCE_MISSING)

Judged = list[tuple[Claimed, Classification]]


class Reading:
    """One reading of a projection's documents, each key once, in statements that end before `deadline`.

    `read` are the events with their documents, `judged` those without one and what becomes of them.
    `routings` are those of documents by id. Events of one key share what one statement returned: a document
    with the version of another read would supersede what was delivered between both.
    """

    def __init__(
        self, context: WorkerContext, projection: Projection, *, deadline: Deadline, max_bytes: int | None
    ) -> None:
        self._context, self._projection = context, projection
        self._deadline, self._max_bytes = deadline, max_bytes
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
                self.read += self._with_document(key, text, found.version)
        if self._max_bytes is not None:  # the other halves have the rest of it
            self._max_bytes = max(1, self._max_bytes - sum(map(len, filter(None, found.texts))))
        if found.routings:
            self.routings.update(zip(map(document_id, keys), found.routings, strict=True))

    def _with_document(self, key: str, text: str | None, version: int | None) -> Iterator[Claimed]:
        id_ = document_id(key)
        for event in self._unread.pop(key):
            yield event._replace(
                document_id=id_, event_version=version, source_version=version, document=text
            )

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
