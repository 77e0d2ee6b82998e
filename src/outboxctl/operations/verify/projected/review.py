"""Whether a document of a projection differs: the rules, and the second reading of suspects by id."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from json import loads
from typing import NamedTuple

from outboxctl.core.database import Database
from outboxctl.core.documents.entities import READ
from outboxctl.core.projections import documents, events, pages, reading
from outboxctl.core.projections.documents import Documents
from outboxctl.core.projections.events import InFlightIds
from outboxctl.core.refused_reads import reading_of
from outboxctl.domain.projection import Projection, is_hash
from outboxctl.operations.verify.judge import differing_fields, parsed, same, same_value
from outboxctl.operations.verify.model import Difference, DifferenceKind
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.index.scanned import ScannedDocument


class ProjectedSuspect(NamedTuple):
    """A document by its id, and its key; None where none is known that has this id."""

    id: str
    key: str | None


@dataclass
class State:
    """Suspects at one moment: rows and routings by id, those that cannot be read, events in flight."""

    rows: dict[str, str] = field(default_factory=dict)
    routings: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    flying: set[str] = field(default_factory=set)


def differs(
    text: str | None, document: ScannedDocument | None, projection: Projection, routing: str = ""
) -> DifferenceKind | None:
    """How a document differs from its row, None if it does not; without a body only its presence counts.

    Fields that the row does not have are not compared with a pipeline, which may add some. A document that is
    not where its `routing` leads to, or is there twice, differs.
    """
    if text is None:
        return None if document is None else DifferenceKind.EXTRA
    if document is None:
        return DifferenceKind.MISSING
    if misplaced(document, projection, routing):
        return DifferenceKind.DIFFERENT
    if not document.body:
        return None
    alike = _same_fields if projection.pipeline else same
    return None if alike(document.body, text) else DifferenceKind.DIFFERENT


def misplaced(document: ScannedDocument, projection: Projection, routing: str) -> bool:
    """Whether it is not in the shard that its routing leads to, or in others, too."""
    return document.copies > 1 or bool(projection.routing and document.routing != routing)


def _same_fields(body: bytes, text: str) -> bool:
    """As `same`, of the fields that the row has."""
    document, names = parsed(body), loads(text).keys()
    return same_value({name: document[name] for name in document.keys() & names}, text)


class ProjectedReview:
    """The second reading of the suspects of one comparison."""

    def __init__(self, database: Database, reader: Reader, projection: Projection, *, content: bool) -> None:
        self._database, self._reader, self._projection = database, reader, projection
        self._content = content

    def of(self, suspects: Sequence[ProjectedSuspect]) -> Iterator[Difference]:
        """Yield those that do differ.

        A document is read after one state of its row and before another. If no event was in flight at either,
        and neither the row nor the document changed since, then what the row holds was delivered before.
        """
        before = self._state(suspects)
        found = self._documents(suspects)
        differing = [s for s in suspects if self._differs(s, before, found[s.id])]
        after = self._state([s for s in differing if s.id not in before.flying])
        again = self._documents(differing)
        for suspect in differing:
            id_, document = suspect.id, found[suspect.id]
            changed = before.rows.get(id_) != after.rows.get(id_) or document != again[id_]
            in_flight = id_ in before.flying or id_ in after.flying or changed
            kind = self._differs(suspect, before, document)
            if kind:
                yield Difference(
                    kind,
                    id_,
                    in_flight=in_flight,
                    seq_no=document.seq_no if document else None,
                    primary_term=document.primary_term if document else None,
                    error=before.errors.get(id_, ""),
                    key=suspect.key,
                    routing=document.routing if document else "",
                    fields=self._fields(id_, before, document) if kind is DifferenceKind.DIFFERENT else (),
                )

    def _fields(self, id_: str, state: State, document: ScannedDocument | None) -> tuple[str, ...]:
        text, routing = state.rows.get(id_), state.routings.get(id_, "")
        if text is None or document is None:
            return ()
        names = differing_fields(document.body, text) if document.body else []
        if self._projection.pipeline:
            known = loads(text).keys()
            names = [name for name in names if name in known]
        return (*names, *(["_routing"] if misplaced(document, self._projection, routing) else []))

    def _differs(
        self, suspect: ProjectedSuspect, state: State, document: ScannedDocument | None
    ) -> DifferenceKind | None:
        if suspect.id in state.errors:
            return DifferenceKind.UNREADABLE
        text, routing = state.rows.get(suspect.id), state.routings.get(suspect.id, "")
        return differs(text, document, self._projection, routing)

    def _documents(self, suspects: Sequence[ProjectedSuspect]) -> dict[str, ScannedDocument | None]:
        ids = [suspect.id for suspect in suspects if suspect.id]  # no engine has an empty one
        found = zip(ids, self._reader.get(ids, content=self._content), strict=True)
        return {"": None, **dict(found)}

    def _state(self, suspects: Sequence[ProjectedSuspect]) -> State:
        """Rows and events in flight: both of one suspect are of one snapshot."""
        state = State()
        ids = {suspect.key: suspect.id for suspect in suspects if suspect.key is not None}
        for part in reading.parts(self._projection, [*ids], lambda keys: self._rows(keys, ids, state)):
            pairs = zip(part.keys, part.texts, strict=True)
            state.rows |= {ids[key]: text for key, text in pairs if text is not None}
            state.routings |= {ids[key]: each for key, each in zip(part.keys, part.routings, strict=False)}
            if part.error:
                state.errors[ids[part.keys[0]]] = part.error
                self._note_in_flight([ids[part.keys[0]]], state)
        self._keyless([suspect.id for suspect in suspects if suspect.key is None], state)
        return state

    def _rows(self, keys: Sequence[str], ids: dict[str, str], state: State) -> Documents:
        with self._database.begin() as connection:
            connection.exec_driver_sql(READ)
            flying = events.in_flight(connection, self._projection.name, [ids[key] for key in keys])
            found = documents.read(
                connection, self._projection, keys, seconds=pages.SECONDS, max_bytes=reading.BYTES
            )
        _note(flying, [ids[key] for key in keys], state)
        return found

    def _keyless(self, ids: Sequence[str], state: State) -> None:
        """An id that is no key has no row, unless it is the hash of a long one."""
        if not ids:
            return
        with reading_of(self._projection.document), self._database.begin() as connection:
            connection.exec_driver_sql(READ)
            _note(events.in_flight(connection, self._projection.name, ids), ids, state)
            hashes = [id_ for id_ in ids if is_hash(id_)]
            there = pages.present_hashes(connection, self._projection, hashes)
        state.flying |= there  # a row that came meanwhile: pass 1 did not see it

    def _note_in_flight(self, ids: Sequence[str], state: State) -> None:
        with self._database.begin() as connection:
            _note(events.in_flight(connection, self._projection.name, ids), ids, state)


def _note(flying: InFlightIds, ids: Sequence[str], state: State) -> None:
    state.flying |= {id_ for id_ in ids if id_ in flying}
