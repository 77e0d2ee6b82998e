"""The source of a declared projection's index: the rows of its view, with the versions of their snapshots."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING

from outboxctl.core.documents.since import Since
from outboxctl.core.projections import events, in_force, pages, reading
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.reading import DocumentPart
from outboxctl.domain.failures import Reason
from outboxctl.domain.projection import Projection, Routing, document_id
from outboxctl.operations.projection.mapping import body
from outboxctl.operations.rebuild.source import (
    PAGE_BYTES,
    DocumentBatch,
    DocumentPage,
    Part,
    Place,
    Refused,
    spooled,
)
from outboxctl.operations.verify.model import MENDED_BY_EVENTS, Difference, DifferenceKind
from outboxctl.operations.verify.projected.compare import compare
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.index.scan import Reader, RoutedReader

if TYPE_CHECKING:
    from outboxctl.core.database import Connection, Database
    from outboxctl.sink.transport.client import Client

UNREACHED = (
    "{rows:,} rows of {view} have a key that no row of the root has, and are in no new index:"
    " outboxctl verify lists them"
)
NOTHING = DocumentBatch([], [], 0)


def declared(connection: "Connection", projection: Projection) -> tuple[Part, Part]:
    """The mappings that the view's columns and the declaration's file give, and the settings of the file."""
    given = json.loads(projection.mapping or "{}")
    columns = fields(connection, projection.document)
    return body(columns, given)["mappings"], given.get("settings")


@dataclass(frozen=True)
class ProjectionSource:
    """Pages by key; a document that is read later has a higher version, and so has a delete.

    `say` is called with a sentence where all versions had to be raised.
    """

    projection: Projection
    say: Callable[[str], object] = lambda _: None

    @property
    def name(self) -> str:
        """The projection's."""
        return self.projection.name

    @property
    def pipeline(self) -> str:
        """The projection's."""
        return self.projection.pipeline

    @property
    def routing(self) -> Routing:
        """The projection's."""
        return self.projection.routed

    @property
    def definition(self) -> str:
        """The projection's, as it was read from the database."""
        return self.projection.stamp

    def require(self, connection: "Connection") -> None:
        """Raise ChangedError unless this definition is in force."""
        in_force.require(connection, self.projection)

    def renewed(self, connection: "Connection") -> "ProjectionSource | None":
        """With the definition in force, if there is one that has this index."""
        known = {(each.name, each.index): each for each in in_force.read(connection)}
        found = known.get((self.projection.name, self.projection.index))
        return replace(self, projection=found) if found else None

    def count(self, connection: "Connection") -> int:
        """About how many rows the root has."""
        return pages.estimate(connection, self.projection)

    def pages(self, db: "Database", place: Place, size: int) -> Iterator[DocumentPage]:
        """The documents of all keys; rows that are not in the view have none."""
        last = place["cursor"]
        while keys := self._keys(db, last, size):
            batch = NOTHING
            for part in self._parts(db, keys):
                batch, last = _added(batch, _batch(part, deletes=())), part.keys[-1]
                if sum(len(action.document or "") for action in batch.actions) >= PAGE_BYTES:
                    yield DocumentPage(batch, {"cursor": last})
                    batch = NOTHING
            yield DocumentPage(batch, {"cursor": last})

    def slow(self, connection: "Connection") -> str:  # noqa: ARG002 - of the interface
        """Nothing: a declared projection has an index on its key."""
        return ""

    def changed(self, db: "Database", since: Since, size: int) -> Iterator[DocumentBatch]:
        """The documents of events, or their deletes, read after the events."""
        with ExitStack() as stack:
            with db.begin() as connection:
                changed = events.changed(connection, self.name, since, size=size)
                moves = stack.enter_context(spooled(changed))
            for some in moves:
                moved = dict(some)
                keys = [key for key in moved if pages.plausible(self.projection, key)]
                for part in self._parts(db, keys):
                    if part.error and not reading.is_key(db, self.projection, part.keys[0]):
                        continue  # an event that a worker fails
                    yield _batch(part, deletes=part.keys, upserts=[key for key in part.keys if moved[key]])

    def _keys(self, db: "Database", after: str | None, size: int) -> list[str]:
        with db.begin() as connection:
            return pages.page(connection, self.projection, after, size)

    def differing(
        self,
        db: "Database",
        client: "Client",
        index: str,
        size: int,
        *,
        advance: Callable[[int], object],
        stop: Event,
    ) -> Iterator[DocumentBatch]:
        """What differs by content, where the index keeps it."""
        reader = (RoutedReader if self.projection.routing else Reader)(client, index)
        content = not reader.shape.no_content
        differences = compare(db, reader, self.projection, content=content, advance=advance, stop=stop)
        return self._again(db, self._sent_again(differences), size)

    def _sent_again(self, differences: Iterable[Difference]) -> Iterator[str]:
        """The keys of what differs and is right once it is sent again."""
        unreached = 0
        for each in differences:
            unreached += each.kind is DifferenceKind.UNREACHED
            if each.kind in MENDED_BY_EVENTS and each.key is not None and not each.in_flight:
                yield each.key
        if unreached:
            self.say(UNREACHED.format(rows=unreached, view=self.projection.document))

    def _again(self, db: "Database", keys: Iterator[str], size: int) -> Iterator[DocumentBatch]:
        while some := list(islice(keys, size)):
            for part in self._parts(db, some):
                yield _batch(part, deletes=part.keys)

    def _parts(self, db: "Database", keys: Sequence[str]) -> Iterator[DocumentPart]:
        return reading.parts(self.projection, keys, reading.Versioned(db, self.projection, self.say))


def _batch(
    part: DocumentPart, *, deletes: Iterable[str], upserts: Sequence[str] | None = None
) -> DocumentBatch:
    """What is sent of a part: the documents of `upserts` (None: of all), and deletes of keys without one."""
    if part.error:
        id_ = document_id(part.keys[0])
        return DocumentBatch([], [Refused(id_, Reason.BAD_DOCUMENT, part.error)], 1)
    wanted, gone = {*(part.keys if upserts is None else upserts)}, {*deletes}
    routings = part.routings or [""] * len(part.keys)
    actions = [
        BulkAction(document_id(key), part.version or 0, text, routing)
        for key, text, routing in zip(part.keys, part.texts, routings, strict=True)
        if key in (gone if text is None else wanted)
    ]
    return DocumentBatch(actions, [], len(actions))


def _added(one: DocumentBatch, other: DocumentBatch) -> DocumentBatch:
    return DocumentBatch([*one.actions, *other.actions], one.refused + other.refused, one.read + other.read)
