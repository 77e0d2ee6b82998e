"""Reading the keys behind a follow event ahead of the pages that are written from them.

The keys that are read once stay right until they are written, however late: their snapshot is younger than
the commit of the change, for the event was visible before. What is linked to the row later has an event of
its own, written by its own trigger, and its document is read after the change. What is unlinked later has
one as well, and its key here only has the document read once more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable

from outboxctl.core.database import driver
from outboxctl.core.projections import documents, follow_query, key_sql, unchanged
from outboxctl.core.projections.follow_pages import HALF, FollowEvent
from outboxctl.core.refused_reads import reading_rows
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.clock import LOCK_SECONDS
from outboxctl.domain.projection import DOCUMENTS, KeyColumn, Projection, key_parts

AHEAD = 50_000  # keys in one reading: the user's query sorts all of its keys for each
AHEAD_BYTES = 4 * 2**20  # of their texts in all
# One JSON text: a row a key would cost the worker five times as much CPU. The first key is returned whatever
# its length.
STATEMENT = """
SELECT CAST(json_agg(key) FILTER (WHERE so_far <= {most} OR so_far = octet_length(key)) AS text), count(*)
FROM (
    SELECT key, sum(octet_length(key)) OVER (ROWS UNBOUNDED PRECEDING) AS so_far FROM (
        SELECT {key} AS key FROM (
            SELECT DISTINCT {casts} FROM (
{query}
            ) q ({columns})
        ) k ({columns}) WHERE num_nulls({columns}) = 0 {beyond} ORDER BY {columns} LIMIT {size}
    ) o
) f
"""
WITHOUT_ROW = """
SELECT k.place FROM unnest({arrays}) WITH ORDINALITY k ({names}, place)
WHERE NOT EXISTS (SELECT FROM {view} v WHERE {matches}) ORDER BY place
"""


@dataclass(frozen=True)
class KeysAhead:
    """Keys of a follow event, in their order, from behind its cursor to the key `last`.

    `more`: others may come after that. `unchanged`: so many have no event, for the index holds them as they
    are.
    """

    projection: Projection
    event: FollowEvent
    keys: Sequence[str]
    more: bool
    last: str = ""
    unchanged: int = 0

    def fits(self, event: FollowEvent) -> bool:
        """Whether they are those that this event goes on with.

        Not once another worker has written some, or another definition is in force.
        """
        own = (self.event.id, self.event.cursor, self.projection.stamp)
        return (event.id, event.cursor, event.stamp) == own


@dataclass(frozen=True)
class Page:
    """What was written: the number of keys. `end`: they were the last. `ahead`: what was read of others.

    `ends` of the last page: its first and last event, as `follow_pages.write`. `unchanged` as `KeysAhead`.
    """

    keys: int
    end: bool = False
    ahead: KeysAhead | None = None
    ends: Sequence[str] = ()
    unchanged: int = 0


def read(
    connection: Connection,
    projection: Projection,
    event: FollowEvent,
    *,
    size: int,
    seconds: float,
    lock_seconds: float = LOCK_SECONDS,
    holds: str = "",
) -> KeysAhead:
    """At most `size` keys from behind the event's cursor, in statements of at most `seconds`.

    Without those of documents that the index holds as they are; `holds` names it (`Opening.holds`).
    Raises ValueError for an event that does not fit the projection, and ReadRefusedError for what PostgreSQL
    raises for its query.
    """
    if event.place == DOCUMENTS:
        after = event.cursor.get("after")
        keys = [key for key in event.documents if after is None or key > after]
        keys, more = keys[:size], len(keys) > size
    else:
        statement, values = _statement(projection, event, size)
        with undone(connection):
            documents.prepare(connection, seconds, lock_seconds)
            keys, found = _keys(connection, statement, values)
        more = found > len(keys) or found == size
    left, looked = unchanged.without(connection, projection, keys, holds, seconds=seconds)
    last = keys[looked - 1] if keys else ""
    return KeysAhead(projection, event, left, more or looked < len(keys), last, looked - len(left))


def read_set(
    connection: Connection,
    projection: Projection,
    events: Sequence[FollowEvent],
    *,
    seconds: float,
    lock_seconds: float,
) -> list[str] | None:
    """The keys behind several events of one query, each once; None where they are more than HALF.

    Raises ReadRefusedError as `read`; a lock is waited for at most `lock_seconds`.
    """
    query, values = follow_query.of_rows(projection, events)
    statement = _keys_statement(projection, query, SQL("").format(), HALF + 1)
    with undone(connection):
        documents.prepare(connection, seconds, lock_seconds)
        connection.exec_driver_sql(documents.JOINED)
        keys, found = _keys(connection, statement, values)
    return keys if found == len(keys) <= HALF else None


def _keys(connection: Connection, statement: str, values: Mapping[str, str | None]) -> tuple[list[str], int]:
    """The keys that a statement returns, and how many it found: not all of them have room."""
    # By the driver itself: the user's SQL is not rewritten where it has the name of one of our tables.
    with reading_rows(connection):
        text, found = driver(connection).execute(statement.encode(), values).fetchone() or (None, 0)
    return json.loads(text or "[]"), found


def probe(connection: Connection, projection: Projection, event: FollowEvent, *, seconds: float) -> None:
    """Raise ReadRefusedError where an event's query fails whatever the changed row is: no row is read."""
    statement, values = _statement(projection, event, 0)
    documents.prepare(connection, seconds)
    with reading_rows(connection):
        driver(connection).execute(statement.encode(), dict.fromkeys(values))


def without_row(
    connection: Connection, projection: Projection, keys: Sequence[str], *, seconds: float
) -> list[str]:
    """Those of these keys for which the view has no row, in their order.

    Raises ValueError for a key with another number of parts, and ReadRefusedError for what PostgreSQL raises
    for the view, or for a key that is not of the column's type; without a key, for the view alone.
    """
    parts = [key_parts(key, len(projection.key)) for key in keys]
    documents.prepare_documents(connection, projection.document, seconds)
    statement = SQL(WITHOUT_ROW).format(**key_sql.looked_up(projection)).as_string()
    values = key_sql.arrays(parts, projection)
    with reading_rows(connection):
        return [keys[place - 1] for place in connection.exec_driver_sql(statement, values).scalars()]


def _statement(projection: Projection, event: FollowEvent, size: int) -> tuple[str, Mapping[str, str | None]]:
    query, values = follow_query.of_event(projection, event)
    after, beyond = event.cursor.get("after"), SQL("").format()
    if after is not None:
        names = _key_names(projection)
        parts = key_parts(after, len(names))
        values = {**values, **{f"a{place}": part for place, part in enumerate(parts)}}
        bounds = [
            SQL("CAST({} AS {})").format(SQL(f"%(a{place})s"), key_sql.type_of(column))
            for place, column in enumerate(projection.key)
        ]
        beyond = SQL("AND ({}) > ({})").format(SQL(", ").join(names), SQL(", ").join(bounds))
    return _keys_statement(projection, query, beyond, size), values


def _key_names(projection: Projection) -> list[SQL]:
    return [SQL(f"k{place}") for place in range(len(projection.key))]


def _keys_statement(projection: Projection, query: str, beyond: Composable, size: int) -> str:
    """The statement that reads the first `size` keys of this query, in their order."""
    names = _key_names(projection)
    pairs: list[tuple[Composable, KeyColumn]] = [*zip(names, projection.key, strict=True)]
    composed = SQL(STATEMENT).format(
        most=SQL(str(AHEAD_BYTES)),
        columns=SQL(", ").join(names),
        casts=SQL(", ").join(
            SQL("CAST({} AS {})").format(name, key_sql.type_of(column)) for name, column in pairs
        ),
        key=key_sql.key_text_sql(pairs),
        query=SQL(query),
        beyond=beyond,
        size=SQL(str(size)),
    )
    return composed.as_string()
