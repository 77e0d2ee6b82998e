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
from outboxctl.core.projections.documents import (
    LOCK_TIMEOUT,
    arrays,
    identifier,
    key_text_sql,
    looked_up,
    prepare,
    qualified,
    session,
    type_of,
)
from outboxctl.core.projections.follow_pages import HALF, FollowEvent
from outboxctl.core.refused_reads import reading_rows
from outboxctl.core.sql import Connection
from outboxctl.domain import keys_query
from outboxctl.domain.projection import EVERYTHING, Follow, KeyColumn, Projection, key_parts

AHEAD = 50_000  # keys in one reading: the user's query sorts all of its keys for each
AHEAD_BYTES = 4 * 2**20  # of their texts in all
SET_KEYS = HALF + 1  # at most, of a set of events: one more than are written in one statement
OF_ROOT = "of_root"  # in the cursor of the event for every document, where the view raises for some row
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

# The columns of all changed rows as one JSON text, for the reason above. The user's query sees them by a name
# that is no name of his.
# A claim allows nested loops alone: each row would be compared with
# every row of a table that has no index.
JOINED = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on"
CHANGED = '"outboxctl changed rows"'
OF_ROWS = f"""
                SELECT q.* FROM json_to_recordset(CAST(%(rows)s AS json)) AS {CHANGED} ({{columns}})
                CROSS JOIN LATERAL (
{{query}}
                ) q"""
WITHOUT_ROW = """
SELECT k.place FROM unnest({arrays}) WITH ORDINALITY k ({names}, place)
WHERE NOT EXISTS (SELECT FROM {view} v WHERE {matches}) ORDER BY place
"""


@dataclass(frozen=True)
class KeysAhead:
    """Keys of a follow event, in their order, from behind its cursor. `more`: others may come after them."""

    projection: Projection
    event: FollowEvent
    keys: Sequence[str]
    more: bool

    def fits(self, event: FollowEvent) -> bool:
        """Whether they are those that this event goes on with.

        Not once another worker has written some, or another definition is in force.
        """
        own = (self.event.id, self.event.cursor, self.projection.stamp)
        return (event.id, event.cursor, event.stamp) == own


def read(
    connection: Connection,
    projection: Projection,
    event: FollowEvent,
    *,
    size: int,
    seconds: float,
    lock_seconds: float = LOCK_TIMEOUT,
) -> KeysAhead:
    """At most `size` keys from behind the event's cursor, in statements of at most `seconds`.

    Raises ValueError for an event that does not fit the projection, and ReadRefusedError for what PostgreSQL
    raises for its query.
    """
    statement, values = _statement(projection, event, size)
    connection.exec_driver_sql(session(seconds, lock_seconds))
    # By the driver itself: the user's SQL is not rewritten where it has the name of one of our tables.
    with reading_rows(connection):
        text, found = driver(connection).execute(statement.encode(), values).fetchone() or (None, 0)
    keys = json.loads(text or "[]")
    return KeysAhead(projection, event, keys, more=found > len(keys) or found == size)


def read_set(
    connection: Connection,
    projection: Projection,
    events: Sequence[FollowEvent],
    *,
    seconds: float,
    lock_seconds: float,
) -> list[str]:
    """The keys behind several events of one query, each once, at most SET_KEYS: more are not told.

    Raises ReadRefusedError as `read`; a lock is waited for at most `lock_seconds`.
    """
    query, values = _query_of_rows(projection, events)
    statement = _keys_statement(projection, query, SQL("").format(), SET_KEYS)
    connection.exec_driver_sql(f"{JOINED}; {session(seconds, lock_seconds)}")
    with reading_rows(connection):
        text, found = driver(connection).execute(statement.encode(), values).fetchone() or (None, 0)
    keys: list[str] = json.loads(text or "[]")
    return keys if found == len(keys) else [*keys, *[""] * (SET_KEYS - len(keys))]


def probe(connection: Connection, projection: Projection, event: FollowEvent, *, seconds: float) -> None:
    """Raise ReadRefusedError where an event's query fails whatever the changed row is: no row is read."""
    statement, values = _statement(projection, event, 0)
    connection.exec_driver_sql(session(seconds))
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
    prepare(connection, seconds)
    statement = SQL(WITHOUT_ROW).format(**looked_up(projection)).as_string()
    values = arrays(parts, projection)
    with reading_rows(connection):
        return [keys[place - 1] for place in connection.exec_driver_sql(statement, values).scalars()]


def _statement(projection: Projection, event: FollowEvent, size: int) -> tuple[str, dict[str, str | None]]:
    query, values = _query(projection, event)
    after, beyond = event.cursor.get("after"), SQL("").format()
    if after is not None:
        names = _key_names(projection)
        parts = key_parts(after, len(names))
        values |= {f"a{place}": part for place, part in enumerate(parts)}
        bounds = [
            SQL("CAST({} AS {})").format(SQL(f"%(a{place})s"), type_of(column))
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
        casts=SQL(", ").join(SQL("CAST({} AS {})").format(name, type_of(column)) for name, column in pairs),
        key=key_text_sql(pairs),
        query=SQL(query),
        beyond=beyond,
        size=SQL(str(size)),
    )
    return composed.as_string()


def _query_of_rows(projection: Projection, events: Sequence[FollowEvent]) -> tuple[str, dict[str, str]]:
    """The query for the keys of several events, with the driver's placeholder, and its parameter."""
    followed = _fitting(projection, events[0])
    query, names = bound(followed.keys, _types(followed), CHANGED + ".p{}") if followed else ("", [])
    rows = {tuple(event.values[name] for name in names) for event in events}
    objects = [{f"p{n}": value for n, value in enumerate(row)} for row in rows]
    columns = SQL(", ").join(SQL(f"p{n} text") for n in range(len(names) or 1))
    return SQL(OF_ROWS).format(columns=columns, query=SQL(query)).as_string(), {
        "rows": json.dumps(objects, ensure_ascii=False)
    }


def _query(projection: Projection, event: FollowEvent) -> tuple[str, dict[str, str | None]]:
    """The query for an event's keys with the driver's placeholders, and its parameters."""
    if event.place == EVERYTHING:
        columns = SQL(", ").join(identifier(column.name) for column in projection.key)
        relation = projection.root if event.cursor.get(OF_ROOT) else projection.document
        return SQL("SELECT {} FROM {}").format(columns, qualified(relation)).as_string(), {}
    followed, values = projection.followed(event.place, event.name), event.values
    if followed is None:
        raise ValueError(f"{projection.name} does not follow {event.name or event.place} by a query")
    query, names = bound(followed.keys, _types(followed))
    return query, {f"p{number}": values[name] for number, name in enumerate(names)}


def _types(followed: Follow) -> dict[str, str]:
    return dict(zip(followed.parameters, followed.types, strict=False))


def fits(projection: Projection, event: FollowEvent) -> bool:
    """Whether the projection has the query that the event was written for, and the event its parameters.

    Raises ValueError where the event's key is no JSON object.
    """
    if event.place == EVERYTHING:
        return True
    return _fitting(projection, event) is not None


def _fitting(projection: Projection, event: FollowEvent) -> Follow | None:
    """The followed table that the event was written for, where the event has the parameters of its query."""
    followed = projection.followed(event.place, event.name)
    if followed and {*keys_query.parameters(followed.keys)} <= event.values.keys():
        return followed
    return None


def together(projection: Projection, events: Sequence[FollowEvent]) -> list[FollowEvent]:
    """Those of these events whose keys one query finds: that of the first one.

    None where the first one does not fit, or its query's parameters have no types (an older version declared
    it): it is expanded by itself.
    """
    first = _fitting_or_none(projection, events[0])
    if first is None or len(first.types) != len(first.parameters):
        return []
    return [event for event in events if _fitting_or_none(projection, event) == first]


def _fitting_or_none(projection: Projection, event: FollowEvent) -> Follow | None:
    try:
        return _fitting(projection, event)
    except ValueError:
        return None


def bound(query: str, types: Mapping[str, str], parameter: str = "%(p{})s") -> tuple[str, list[str]]:
    """A `keys` query with the driver's placeholders p0, p1, … for its parameters, and their names.

    Each is of its type, as in `scratch.key_types`. `parameter` is what a parameter becomes, by its number.
    """
    names = [*keys_query.parameters(query)]

    def placeholder(name: str) -> str:
        value = parameter.format(names.index(name))
        return f"CAST({value} AS {types[name].replace('%', '%%')})" if name in types else value

    text = keys_query.replaced(query.strip().rstrip(";"), placeholder, lambda rest: rest.replace("%", "%%"))
    return text, names
