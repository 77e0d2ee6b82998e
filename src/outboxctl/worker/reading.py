"""Reading the documents of a projection's events: by halves, so that one that cannot be read fails alone."""

from collections.abc import Sequence
from functools import partial

import structlog

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.projections import documents, in_force, version_base
from outboxctl.core.projections.documents import Documents, ReadFault
from outboxctl.core.projections.reading import versioned
from outboxctl.domain.clock import Deadline
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.failures import Classification, Noop, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, document_id, key_parts
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.prepare import UNSENT

log = structlog.get_logger()
SHARE = 0.5  # of the time left, for several documents: the rest is for their halves, and the sink
# No engine takes an empty _id: there is no document to delete.
NEVER_WAS = Classification(Verdict.DONE, noop=Noop.SOURCE_MISSING)

Judged = list[tuple[Claimed, Classification]]


class Reading:
    """One reading of a projection's documents, in statements that end before `deadline`.

    `read` are the events with their documents, `judged` those without one and what becomes of them.
    `routings` are those of documents by id.
    """

    def __init__(
        self, context: WorkerContext, projection: Projection, *, deadline: Deadline, max_bytes: int | None
    ) -> None:
        self._context, self._projection = context, projection
        self._deadline, self._max_bytes = deadline, max_bytes
        self.read: list[Claimed] = []
        self.judged: Judged = []
        self.routings: dict[str, str] = {}
        self.blocked: Classification | None = None  # once the view cannot be read at all

    def run(self, events: Sequence[Claimed]) -> "Reading":
        """Read the documents of these events.

        Raises ChangedError where another declaration is in force, other OutboxctlErrors where the database
        fails otherwise.
        """
        keyed = [event for event in events if self._has_key(event)]
        if keyed:
            self._read(keyed)
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
            self._judge([event], Classification(Verdict.FAIL, Reason.DETERMINISTIC_EXCEPTION, error=text))
            return False
        return True

    def _read(self, events: Sequence[Claimed]) -> None:
        seconds = self._deadline.seconds_left() * (SHARE if len(events) > 1 else 1)
        if self.blocked or seconds <= 0:
            self._judge(events, self.blocked or UNSENT)
            return
        try:
            found = self._documents([event.document_id for event in events], seconds)
        except OutboxctlError as error:
            problem = documents.fault(error)
            if problem is None:
                raise
            self._refused(events, *problem)
        else:
            self._take(events, found)

    def _take(self, events: Sequence[Claimed], found: Documents) -> None:
        for place, (event, text) in enumerate(zip(events, found.texts, strict=True)):
            if place in found.unusable:
                self._judge([event], self._bad_document(Verdict.FAIL, found.unusable[place]))
            elif text is None and not event.document_id:
                self._judge([event], NEVER_WAS)
            else:
                self.read.append(
                    event._replace(
                        document_id=document_id(event.document_id),
                        event_version=found.version,
                        source_version=found.version,
                        document=text,
                    )
                )
        if found.routings:
            ids = (document_id(event.document_id) for event in events)
            self.routings.update(zip(ids, found.routings, strict=True))

    def _refused(self, events: Sequence[Claimed], kind: ReadFault, words: str) -> None:
        if kind is ReadFault.VIEW:
            text = brief(f"config: the view {self._projection.document} cannot be read: {words}")
            self.blocked = Classification(Verdict.OUTAGE, Reason.CONFIG, error=text, single=True)
            self._judge(events, self.blocked)
        elif len(events) > 1:
            if kind is ReadFault.TIME:
                log.warning(
                    "documents take too long: they are read by halves",
                    projection=self._projection.name,
                    events=len(events),
                )
            middle = len(events) // 2
            self._read(events[:middle])
            self._read(events[middle:])
        else:
            verdict = Verdict.RETRY if kind is ReadFault.TIME else Verdict.FAIL
            why = f"the document cannot be read from {self._projection.document}: {words}"
            self._judge(events, self._bad_document(verdict, why))

    def _bad_document(self, verdict: Verdict, why: str) -> Classification:
        return Classification(verdict, Reason.BAD_DOCUMENT, error=brief(why))

    def _judge(self, events: Sequence[Claimed], finding: Classification) -> None:
        self.judged += [(event, finding) for event in events]

    def _documents(self, keys: Sequence[str], seconds: float) -> Documents:
        return versioned(
            self._context.database,
            self._projection,
            keys,
            seconds=seconds,
            max_bytes=self._max_bytes,
            raise_base=partial(raise_versions, self._context),
        )


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
