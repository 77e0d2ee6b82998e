"""The statements of a source: a row of a projection's root has the document that its view has for the key.

The view is asked for each row by its key, as a worker asks it: this takes as long as to read the view as a
whole, and none of its forms (a grouped subquery, say) is computed again for each page.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from psycopg.sql import SQL, Composable

from outboxctl.core.database import Database
from outboxctl.core.documents import placing
from outboxctl.core.documents.rows import (
    BYTES,
    ChangedKey,
    Page,
    RowState,
    SourceRow,
    as_json,
    from_json,
)
from outboxctl.core.documents.since import Since
from outboxctl.core.projections import document_sql, documents, events, in_force, key_sql, pages, version_base
from outboxctl.core.projections.documents import Documents, Opening
from outboxctl.core.projections.key_sql import identifier, qualified
from outboxctl.core.refused_reads import ReadRefusedError, reading_of, reading_rows
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.printable import is_storable
from outboxctl.domain.projection import KeyColumn, Projection, Relation, Routing, is_hash, key_parts

Found = TypeVar("Found")
RAISES = 3  # times that the base may have to be raised by others between two reads
RAISED = "the versions of documents were raised: this database was restored, or a standby promoted"
ROW_OF_OWN = "concat(to_json({key}), E'\\n', coalesce({made}, E'\\n\\n'))"
ROW = "concat(to_json({key}), E'\\n', {version}, E'\\n', {made})"


@dataclass(frozen=True)
class DocumentStatements:
    """What is asked of PostgreSQL for a projection's documents; `versioned`: by their rows' own versions.

    Else one that is read later has a higher version, and so has a delete. `tell` is called with a sentence,
    `raised` with the new base of all versions where it had to be raised. `holds` names the index as it is:
    where it is empty, whatever is read to be sent is sent. `make` is as `placing.read` has it.
    """

    projection: Projection
    tell: Callable[[str], object] = lambda _: None
    raised: Callable[[int], object] | None = None
    holds: str = ""
    make: Callable[[str], str] = lambda _: ""

    versioned = False
    alias = "r"  # of the root in statements

    @property
    def place(self) -> str:
        """What is read, for errors."""
        return str(self.projection.document)

    def root(self, connection: Connection) -> Relation:  # noqa: ARG002 - search_index is looked for
        """The table whose rows have the keys."""
        return self.projection.root

    def parts(self, key: str) -> list[str]:
        """The values of the key's columns as texts. ValueError for another number of them."""
        return key_parts(key, len(self.projection.key))

    def read(
        self, connection: Connection, keys: Sequence[str], *, content: bool, seconds: float = pages.SECONDS
    ) -> list[SourceRow]:
        """What these keys have in one snapshot, in their order, at most BYTES of documents, or one.

        Without the snapshot's version: documents are equal without. Without `content` any text is `{}`.
        Raises ReadRefusedError for what PostgreSQL raises.
        """
        found = documents.read(
            connection,
            self.projection,
            keys,
            seconds=seconds,
            max_bytes=BYTES,
            content=content or bool(self.projection.routing),
        )
        return _rows(keys, found._replace(version=None, versions=()))

    def current(self, db: Database, keys: Sequence[str]) -> list[SourceRow]:
        """The same in a transaction of its own, with the version that is sent."""
        return _rows(keys, self.latest(db, keys, seconds=pages.SECONDS, max_bytes=BYTES))

    def latest(
        self, db: Database, keys: Sequence[str], *, seconds: float, max_bytes: int | None
    ) -> Documents:
        """What is sent of these keys now, in their order: read in a transaction of its own.

        It takes at most `seconds`, and has documents of at most `max_bytes`, or one. Without a key,
        ReadRefusedError if none can be read. Raises as `core.projections.documents.read`.
        """
        how: dict[str, Any] = {"seconds": seconds, "max_bytes": max_bytes, "commit": True}

        def read(some: Sequence[str], opening: Opening | None = None) -> Documents:
            def once() -> Documents | None:
                with db.begin() as connection:
                    found = documents.read(connection, self.projection, some, opening=opening, **how)
                return None if found.version is None and not self.projection.version else found

            return self._with_version(db, once)

        if self.projection.placed:
            return placing.read(db, self.projection, keys, self.holds, read, make=self.make)
        return read(keys)

    def not_keys(self, keys: Sequence[str]) -> dict[str, str]:
        """Why those of these texts that are no key of this source are none."""
        found, number = dict[str, str](), len(self.projection.key)
        for key in keys:
            try:
                key_parts(key, number)
            except ValueError as error:
                found[key] = f"the event's key is not one of {self.projection.name}: {error}"
        return found

    def keys(self, db: Database, ids: Sequence[str]) -> dict[str, str]:
        """The keys of those of these ids that a row can have: an id has the key, or a long one's hash."""
        own = self._own(ids)
        found = {id_: key for id_, key in own.items() if key == "" or pages.plausible(self.projection, key)}
        if hashes := {id_: key for id_, key in own.items() if is_hash(key)}:
            with reading_of(self.projection.document), db.begin() as connection:
                long = pages.hashed(connection, self.projection, [*hashes.values()])
            # A key of this form is its own id: it is looked for where no other key has this hash.
            found |= {id_: long[key] for id_, key in hashes.items() if key in long}
        return found

    def nameable(self, key: str) -> bool:
        """Whether an event can name it."""
        return key != ""

    def in_flight(
        self, connection: Connection, ids: Sequence[str], keys: Mapping[str, str] = MappingProxyType({})
    ) -> set[str]:
        """Those of these ids that have an event that is not settled; `keys` are those that are known.

        All of them where one stands for documents that are not known yet.
        """
        # The hash of a long key, as an id has it.
        of, prefix = self.projection.id_of, len(self.projection.id_prefix)
        own = {id_: of(keys.get(id_, key))[prefix:] for id_, key in self._own(ids).items()}
        keys_ = [*filter(is_storable, own.values())]
        values = {"name": self.projection.name, "longest": self.projection.longest_key, "keys": keys_}
        found = {*connection.execute(events.IN_FLIGHT, values).scalars()}
        return {id_ for id_, key in own.items() if None in found or key in found}

    def failed(self, connection: Connection, *, most: int) -> frozenset[str]:
        """The ids of documents that have a failed event; `most` failed events are looked at."""
        values = {"name": self.projection.name, "most": most}
        return frozenset(map(self.projection.id_of, connection.execute(events.FAILED, values).scalars()))

    def moved(self, connection: Connection, since: datetime) -> bool:
        """Whether any event is not settled, or was settled since then."""
        values = {"name": self.projection.name, "since": since}
        return bool(connection.execute(events.MOVED_SINCE, values).scalar())

    def changed(self, connection: Connection, since: Since, *, size: int) -> Iterator[list[ChangedKey]]:
        """The keys whose events changed, and those that may be gone, `size` at a time; of one snapshot."""
        for some in events.changed(connection, self.projection.name, since, size=size):
            yield [ChangedKey(key, moved) for key, moved in some if pages.plausible(self.projection, key)]

    def require(self, connection: Connection) -> None:
        """Raise ChangedError unless this definition is in force."""
        in_force.require(connection, self.projection)

    def unreached(self, connection: Connection, *, size: int) -> Iterator[str]:
        """Keys of rows of the view that no row of the root has, `size` fetched at once.

        Raises ReadRefusedError.
        """
        return pages.unreached(connection, self.projection, size=size)

    def documents(self, connection: Connection) -> int:
        """How many documents there are: the rows of the view, counted in one snapshot."""
        with self.reading(connection, self.projection.document):
            return pages.number(connection, self.projection)

    @contextmanager
    def reading(self, connection: Connection | None, relation: Relation | None = None) -> Iterator[None]:
        """Names what is read in the errors of the block that have no row for their reason."""
        named = reading_of(relation or self.projection.document)
        with named, reading_rows(connection) if connection else nullcontext():
            yield

    def raise_base(self, db: Database, *, above: int = -1) -> None:
        """Raise the base of all versions where that is needed, or where it is not `above` this one."""
        with db.begin() as connection:
            base = version_base.raise_base(connection, above=above)
        if base and self.raised:
            self.raised(base)
        elif base:
            self.tell(f"{RAISED.capitalize()}, to {base}")

    def _with_version(self, db: Database, read: Callable[[], Found | None]) -> Found:
        """What `read` returns, None where the base of all versions has to be raised first."""
        for _ in range(RAISES):
            if (found := read()) is not None:
                return found
            self.raise_base(db)
        raise UnreachableError("the server or its timeline changes again and again", hint="see DATABASE_URL")

    def _row(self, connection: Connection, *, content: bool, versions: bool) -> tuple[Composable, Composable]:
        """SQL for what comes before SELECT, and for the four lines of a row (`rows.RawDocument`)."""
        version = SQL("(SELECT version FROM version)" if versions else "NULL::text")
        document = document_sql.document(self.projection, content=content)
        both = SQL("concat({}, E'\\n', {})").format(_as_json(self._routing()), document)
        if versions and self.projection.version:
            both = SQL("concat({}, E'\\n', {})").format(document_sql.own_version(self.projection), both)
            row = SQL(ROW_OF_OWN).format(key=self._key(), made=self._looked_up(both))
            return SQL(""), row
        made = SQL("coalesce({}, E'\\n')").format(self._looked_up(both))  # neither a routing nor a document
        row = SQL(ROW).format(key=self._key(), version=version, made=made)
        if not versions:
            return SQL(""), row
        version = SQL(places(connection).render(version_base.version_sql(version_base.server(connection))))
        return SQL("WITH version AS MATERIALIZED ({})").format(version), row

    def _columns(self, *, content: bool) -> Composable:
        """SQL for the columns of a row (`rows.RowState`)."""
        document = document_sql.document(self.projection, content=content)
        made, routing = document, self._routing()
        if self.projection.routed is Routing.COLUMN:  # the view is asked once for both
            made, routing = SQL("concat({}, E'\\n', {})").format(routing, made), SQL("NULL::text")
        return SQL("{}, NULL::bigint, {}, {}").format(self._key(), self._looked_up(made), routing)

    def _states(self, rows: list[RowState]) -> list[RowState]:
        """Those with these columns by id, without the rows that have no document."""
        if self.projection.routed is Routing.COLUMN:
            rows = [
                (id_, None, made[1], made[0])
                for id_, _, both, _ in rows
                if both and (made := both.split(b"\n", 1))
            ]
        id_of, longest = self.projection.id_of, self.projection.longest_key
        prefix = self.projection.id_prefix.encode()
        return [
            (prefix + row[0] if len(row[0]) <= longest else id_of(row[0].decode()).encode(), *row[1:])
            for row in rows
            if row[2]
        ]

    def _looked_up(self, what: Composable) -> Composable:
        """What the view has for a row of the root, NULL for one of another part.

        Where that are several rows, the statement fails.
        """
        matches = SQL(" AND ").join(map(_match, self.projection.key))
        return SQL("(SELECT {} FROM {} v WHERE {})").format(
            document_sql.in_part(self.projection, what), qualified(self.projection.document), matches
        )

    def _routing(self) -> Composable:
        if self.projection.routed is Routing.NONE:
            return SQL("''::text")
        if self.projection.routed is Routing.COLUMN:
            return document_sql.value_of(self.projection.routing)
        column = next(each for each in self.projection.key if each.name == self.projection.routing)
        return key_sql.key_column_text(SQL("r.{}").format(identifier(column.name)), column)

    def _key(self) -> Composable:
        """SQL for the text of a row's key."""
        return pages.row_key(self.projection.key)

    def _prepare(self, connection: Connection) -> None:
        """Set what texts and plans depend on, for this transaction."""
        documents.prepare_documents(connection, self.projection.document, pages.SECONDS)

    def _by_id(self, page: Page) -> Page:
        """The rows of a page that have a document, by id: of a long key its hash."""
        id_of, longest = self.projection.id_of, self.projection.longest_key
        start = as_json(self.projection.id_prefix)[:-1]
        return [
            [start + row[0][1:] if len(row[0]) <= longest else as_json(id_of(from_json(row[0]))), *row[1:]]
            for row in page
            if row[3]
        ]

    def _own(self, ids: Sequence[str]) -> dict[str, str]:
        """What those of these ids that are this projection's have for their keys."""
        return {id_: key for id_ in ids if (key := self.projection.key_in(id_)) is not None}

    def _ids(self, page: Page) -> Sequence[tuple[str, str]]:
        """The `_id` of each key with a document, where a column chooses the index."""
        keys = [from_json(row[0]) for row in page if row[3]] if self.projection.column else []
        return [(key, self.projection.id_of(key)) for key in keys]

    def _checked(self, page: Page) -> Page:
        """The page. Raises ReadRefusedError for a row that is no document."""
        if any(row[0] == b'""' for row in page):
            raise ReadRefusedError("", documents.EMPTY)
        return page


def _match(column: KeyColumn) -> Composable:
    """The view's rows of a root's row; of two texts of one value only that of the root's is the key."""
    both = [SQL("v.{}").format(identifier(column.name)), SQL("r.{}").format(identifier(column.name))]
    same = SQL("{} = {}").format(*both)
    if pages.form_of(column):
        return same
    texts = (key_sql.key_text_sql([(value, column)]) for value in both)
    return SQL("{} AND {} = {}").format(same, *texts)


def _as_json(value: Composable) -> Composable:
    return SQL("to_json(nullif({}, ''))").format(value)


def _rows(keys: Sequence[str], read: Documents) -> list[SourceRow]:
    """The texts of a reading, with the reason where none can be made."""
    routings = read.routings or [""] * len(keys)
    versions = read.versions or [read.version] * len(keys)
    indexes = read.indexes or [""] * len(keys)
    rows = zip(keys, read.texts, versions, routings, strict=True)
    return [SourceRow(*row, read.unusable.get(n, ""), indexes[n]) for n, row in enumerate(rows)]
