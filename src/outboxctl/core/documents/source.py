"""A source of documents: the rows of a table (its root), each with its key, its version and its document.

Whoever compares documents or fills an index reads a source in one of three ways: by pages of the root in the
order in which they lie there (each is read once, from first to last), by its key (a place can be written down
between two pages), and of given ids. Each page is read in a transaction of its own that ends before the next
step is waited for: a sink that is slow or away keeps no snapshot open, which would hold vacuum back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composable
from psycopg.types.string import ByteaBinaryLoader

from outboxctl.core.database import Database, driver
from outboxctl.core.documents.rows import (
    Page,
    PageRange,
    RowState,
    SourcePage,
    SourceRow,
    States,
    from_json,
    length_of,
    pages_of,
    raw_of,
    state_of,
)
from outboxctl.core.documents.statements import DocumentStatements
from outboxctl.core.projections import catalog, pages
from outboxctl.core.projections.document_sql import LEFT_OUT
from outboxctl.core.projections.key_sql import identifier, qualified
from outboxctl.core.refused_reads import ReadRefusedError, by_halves, reading_rows
from outboxctl.core.sql import Connection

# One snapshot for a row and its events; the server refuses every change.
READ = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
CHUNK_ROWS = 10_000  # of a transaction
CHUNK_BYTES = 8_000_000  # of documents: about as many rows are asked for; twice as many are never kept
ROWS_BY_KEY = 100  # in one page, whose bytes are not bounded
FROM_PAGES = "AND {alias}.ctid >= CAST(%(first)s AS tid)"
TO_PAGES = " AND {alias}.ctid < CAST(%(end)s AS tid)"
# SYSTEM reads the chosen pages only: as many pages as rows are asked for, so that the sample is spread over
# the whole table, whatever its keys are.
SAMPLE = """SELECT {key} FROM {root} {alias} TABLESAMPLE SYSTEM (CAST(%(percent)s AS real))
WHERE {keyed} {sent} ORDER BY random() LIMIT %(size)s"""
SPARE = 10  # pages more: some may be empty


class Cut(NamedTuple):
    """Which rows of the root: the end of a statement, and its parameters."""

    sql: str
    values: Mapping[str, object]


class PageOptions(NamedTuple):
    """Pages of at most `size` rows, with at most `most` bytes of documents or one row.

    Without `content` a document is `{}`; with `versions` each row has the version that is sent.
    """

    size: int
    most: int
    content: bool = True
    versions: bool = True


class _EnoughReadError(Exception):
    """Ends a COPY before its last row."""


class DocumentSource(DocumentStatements):
    """The documents of a projection."""

    def count(self, connection: Connection) -> int:
        """About how many rows the root has."""
        with self.reading(connection, self.root(connection)):
            return pages.estimate(connection, self.root(connection))

    # ------------------------------------------------------------------------------------------- in order

    def last_page(self, connection: Connection) -> int | None:
        """How many pages the root has; None where rows cannot be read by them."""
        return pages.last_page(connection, self.root(connection))

    def sample(self, db: Database, size: int) -> list[str]:
        """The ids of up to `size` random rows of the root, whether or not the view has them.

        Where the pages that are read have fewer rows, and of a root that is no table, the first by key.
        """
        sent = f"AND {self.alias}.event_version >= 0" if self.versioned else ""  # others were never sent
        keys = list[str]()
        with suppress(ReadRefusedError), db.begin() as connection:
            keys += self._random_keys(connection, size, sent)
        if len(keys) < size:
            with db.begin() as connection:
                cut = self._after(connection, None, size)
            keys += self._keys(db, Cut(f"{sent} {cut.sql}", cut.values))
        ids = map(self.projection.id_of, dict.fromkeys(keys))
        return [id_ for id_ in ids if id_][:size]

    def _random_keys(self, connection: Connection, size: int, sent: str) -> list[str]:
        """Raises ReadRefusedError."""
        self._prepare(connection)
        root = self.root(connection)
        statement = SQL(SAMPLE).format(
            key=self._key(),
            root=qualified(root),
            alias=SQL(self.alias),
            keyed=pages.keyed(self.projection.key, self.alias),
            sent=SQL(sent),
        )
        with reading_rows(connection):
            percent = min(100.0, 100.0 * (size + SPARE) / max(1, catalog.pages(connection, root)))
            values = {"percent": percent, "size": size}
            return [*connection.exec_driver_sql(statement.as_string(), values).scalars()]

    def in_range(self, connection: Connection, pages_: PageRange, *, content: bool) -> list[RowState]:
        """The documents of these pages, without the version of a snapshot.

        A row that is updated meanwhile moves, and may be in no range or in two. Raises ReadRefusedError.
        """
        self._prepare(connection)
        cut = self._pages_cut(pages_)
        statement = self._select(connection, SQL(""), self._columns(content=content), cut.sql)
        with reading_rows(connection), driver(connection).cursor(binary=True) as cursor:
            cursor.adapters.register_loader("text", ByteaBinaryLoader)  # as the server sends them
            cursor.execute(statement, cut.values)
            return self._states(cursor.fetchall())

    def careful(self, db: Database, pages_: PageRange, *, content: bool) -> list[RowState]:
        """The same of a range with rows that cannot be read, whose version is NOT_READ."""
        parts = self._by_key(db, self._keys(db, self._pages_cut(pages_)), content=content)
        return [state_of(row) for part in parts for row in self._by_id([raw_of(each) for each in part])]

    def pages(self, db: Database, after: str | None, wanted: PageOptions) -> Iterator[SourcePage]:
        """All rows behind the key `after`, in the order of the unique index; a chunk is of one snapshot."""
        rows = wanted.size  # until the size of documents is known
        while chunk := self._chunk(db, after, rows, wanted):
            for page in chunk:
                after = from_json(page[-1][0])
                yield SourcePage(self._by_id(page), after, len(page), self._ids(page))
            rows = _rows_after(chunk, wanted.size)

    def _chunk(self, db: Database, after: str | None, rows: int, wanted: PageOptions) -> list[Page]:
        """The pages of the next rows; the base of all versions is raised first where that is needed."""

        def read() -> list[Page] | None:
            found = self._read_chunk(db, after, rows, wanted)
            unknown = wanted.versions and not self.projection.version and found and found[0][0][1] == b""
            return None if unknown else found

        return self._with_version(db, read)

    def _read_chunk(self, db: Database, after: str | None, rows: int, wanted: PageOptions) -> list[Page]:
        """The pages of the next rows; of fewer than `rows` where they are larger than was expected."""
        found, total = list[Page](), 0
        try:
            # Leaving a COPY by an exception cancels it, and ends the transaction, in which nothing was
            # written.
            with suppress(_EnoughReadError), db.begin() as connection:
                for page in self._copied(connection, self._after(connection, after, rows), wanted):
                    found.append(page)
                    total += length_of([page])
                    if total > 2 * CHUNK_BYTES:
                        raise _EnoughReadError
        except ReadRefusedError:
            return found or self._next_by_key(db, after)  # what came before the error is in order
        return found

    def _next_by_key(self, db: Database, after: str | None) -> list[Page]:
        """The next rows, some of which cannot be read: these are UNREADABLE, and have the reason."""
        with db.begin() as connection:
            cut = self._after(connection, after, ROWS_BY_KEY)
        keys = self._keys(db, cut)
        found = [each for part in self.each(db, keys, lambda some: self.current(db, some)) for each in part]
        return [[raw_of(each) for each in found]] if found else []

    def _keys(self, db: Database, cut: Cut) -> list[str]:
        with db.begin() as connection:
            self._prepare(connection)
            statement = self._select(connection, SQL(""), self._key(), cut.sql)
            root = self.root(connection)
            with self.reading(connection, root):
                return [*connection.exec_driver_sql(statement, dict(cut.values)).scalars()]

    def _copied(self, connection: Connection, cut: Cut, wanted: PageOptions) -> Iterator[Page]:
        self._prepare(connection)
        before, row = self._row(connection, content=wanted.content, versions=wanted.versions)
        query = f"COPY ({self._select(connection, before, row, cut.sql)}) TO STDOUT (FORMAT binary)"
        # As before EXECUTE (message.PlannedOnce): COPY waits for locks with the snapshot that it reads in.
        locks = self._select(connection, before, row, "AND false")
        with (
            reading_rows(connection),
            driver(connection).cursor() as cursor,
            cursor.execute(locks, {}),
            cursor.copy(query, cut.values) as copy,
        ):
            for page in pages_of(copy, size=wanted.size, most=wanted.most):
                yield self._checked(page)

    def _select(self, connection: Connection, before: Composable, what: Composable, cut: str) -> str:
        """A SELECT from the root; a row without a key is no document: no event can refer to it."""
        composed = SQL("{before} SELECT {what} FROM {root} {alias} WHERE {keyed} {cut}").format(
            before=before,
            what=what,
            root=qualified(self.root(connection)),
            alias=SQL(self.alias),
            keyed=pages.keyed(self.projection.key, self.alias),
            cut=SQL(cut),
        )
        return composed.as_string()

    def _pages_cut(self, pages_: PageRange) -> Cut:
        cut = FROM_PAGES if pages_.end is None else FROM_PAGES + TO_PAGES
        return Cut(cut.format(alias=self.alias), {"first": f"({pages_.first},0)", "end": f"({pages_.end},0)"})

    def _after(self, connection: Connection, after: str | None, rows: int) -> Cut:
        """The next rows in the order of the unique index, which another order would sort the table for."""
        key = self.projection.key
        order = pages.ordered(connection, self.root(connection), key) or key
        names = SQL(", ").join(SQL(f"{self.alias}.{{}}").format(identifier(each.name)) for each in order)
        values: dict[str, Any] = {"rows": rows}
        beyond: Composable = SQL("")
        if after is not None:
            places = [key.index(column) for column in order]
            given = SQL(", ").join(map(pages.value, places, order))
            beyond = SQL("AND ({}) > ({})").format(names, given)
            values |= {f"k{n}": part for n, part in enumerate(self.parts(after))}
        cut = SQL("{} ORDER BY {} LIMIT %(rows)s").format(beyond, names)
        return Cut(cut.as_string(), values)

    # ---------------------------------------------------------------------------------------------- by id

    def each(
        self, db: Database, keys: Sequence[str], read: Callable[[Sequence[str]], list[SourceRow]]
    ) -> Iterator[list[SourceRow]]:
        """What `read` finds of these keys, in parts; one that cannot be read is alone, with its error.

        A text that is no key of this source is left out. `read` is called without a key to look at the source
        itself: raises InconclusiveError where it cannot be read at all.
        """
        waiting = [keys] if keys else []
        with self.reading(None):
            for some, found in by_halves(waiting, read):
                if isinstance(found, ReadRefusedError):
                    if self._is_key(db, some[0]):
                        yield [SourceRow(some[0], error=found.words)]
                    continue
                fit = next((n for n, each in enumerate(found) if each.text == LEFT_OUT), len(some))
                kept = {*some[:fit]}
                yield [each for each in found if each.key in kept]
                if rest := some[fit:]:
                    waiting.append(rest)

    def _by_key(self, db: Database, keys: Sequence[str], *, content: bool) -> Iterator[list[SourceRow]]:
        def read(some: Sequence[str]) -> list[SourceRow]:
            with db.begin() as connection:
                return self.read(connection, some, content=content)

        return self.each(db, keys, read)

    def states(self, db: Database, ids: Sequence[str], *, content: bool) -> States:
        """These documents as the source has them now."""
        keys, state = self.keys(db, ids), States()
        ids_of: dict[str, list[str]] = {}
        for id_, key in keys.items():
            ids_of.setdefault(key, []).append(id_)

        def read(some: Sequence[str]) -> list[SourceRow]:
            with db.begin() as connection:
                self._one_snapshot(connection)
                flying = self.in_flight(connection, [id_ for key in some for id_ in ids_of[key]], keys)
                found = self.read(connection, some, content=content)
            state.flying |= flying
            return found

        for part in self.each(db, [*ids_of], read):
            for each in part:
                for id_ in ids_of[each.key]:
                    state.keys[id_] = each.key
                    if each.error or each.text is not None:
                        state.rows[id_] = each
        unread = [id_ for id_ in ids if id_ not in state.keys or state.rows.get(id_, SourceRow("")).error]
        if unread:
            with db.begin() as connection:
                connection.exec_driver_sql(READ)
                state.flying |= self.in_flight(connection, unread, keys)
        return state

    def _one_snapshot(self, connection: Connection) -> None:
        """Have all that this transaction reads be of one snapshot, taken once it has the locks it needs.

        A snapshot that is older than the rewrite of a table sees no row of it. LOCK takes no snapshot, but it
        needs rights on whole tables, and refuses a materialized view: then it is left out.
        """
        connection.exec_driver_sql(READ)
        read = self.root(connection) if self.versioned else self.projection.document
        lock = SQL("LOCK {} IN ACCESS SHARE MODE").format(qualified(read))
        try:
            with reading_rows(connection), connection.begin_nested():
                connection.exec_driver_sql(lock.as_string(), {})
        except ReadRefusedError as error:
            if error.passes:
                raise

    def _is_key(self, db: Database, key: str) -> bool:
        """Whether each part of the text is one of its column's type."""
        try:
            with db.begin() as connection:
                pages.castable(connection, self.projection.key, self.parts(key))
        except ReadRefusedError:
            return False
        return True


def _rows_after(chunk: Sequence[Page], size: int) -> int:
    """How many rows to ask for, by those before; whole pages if there are several."""
    number = sum(map(len, chunk))
    rows = max(1, min(CHUNK_ROWS, CHUNK_BYTES * number // max(1, length_of(chunk))))
    return rows - rows % size if rows > size else rows
