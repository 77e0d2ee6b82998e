"""The statement that writes one page of a follow event's key events."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Literal

from outboxctl.core.projections.documents import identifier, key_text_sql, qualified, type_of
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain import keys_query
from outboxctl.domain.projection import EVERYTHING, KeyColumn, Projection, key_parts

PAGE = 2_000  # keys a page
WRITE = """
WITH page AS MATERIALIZED ({keys}), written AS (
    INSERT INTO {events} (id, entity_type, entity_id, op, entity_key)
    SELECT id, {name}, CAST(md5(concat({name}, ':', key)) AS uuid), 'upsert', key FROM page ORDER BY place
)
SELECT place, key, CAST(id AS text) FROM page ORDER BY place DESC LIMIT 1
"""
FOUND = """
SELECT row_number() OVER (ORDER BY {columns}) AS place, {key} AS key, gen_random_uuid() AS id FROM (
    SELECT DISTINCT {casts} FROM (
{query}
    ) q ({columns})
) k ({columns}) WHERE num_nulls({columns}) = 0 {beyond} ORDER BY {columns} LIMIT {size}"""


@dataclass(frozen=True)
class FollowEvent:
    """A claimed follow event: `values` are the columns of the changed row, `cursor` how far it is."""

    id: str
    projection: str
    place: int
    key: str
    cursor: Mapping[str, Any]
    attempts: int

    @property
    def values(self) -> Mapping[str, str | None]:
        """The columns of the changed row by name. ValueError where the key is not such an object."""
        values = json.loads(self.key)
        if not isinstance(values, dict):
            raise ValueError(f"not a JSON object: {self.key[:200]!r}")
        return {str(name): None if value is None else str(value) for name, value in values.items()}


def page_statement(projection: Projection, event: FollowEvent) -> tuple[str, dict[str, str | None]]:
    """The statement that writes a page of an event's keys, and its parameters. ValueError as `expand`."""
    query, values = _query(projection, event)
    names = [SQL(f"k{place}") for place in range(len(projection.key))]
    pairs: list[tuple[Composable, KeyColumn]] = [*zip(names, projection.key, strict=True)]
    after, beyond = event.cursor.get("after"), SQL("").format()
    if after is not None:
        parts = key_parts(after, len(names))
        values |= {f"a{place}": part for place, part in enumerate(parts)}
        bounds = [
            SQL("CAST({} AS {})").format(SQL(f"%(a{place})s"), type_of(column))
            for place, (_, column) in enumerate(pairs)
        ]
        beyond = SQL("AND ({}) > ({})").format(SQL(", ").join(names), SQL(", ").join(bounds))
    found = SQL(FOUND).format(
        columns=SQL(", ").join(names),
        casts=SQL(", ").join(SQL("CAST({} AS {})").format(name, type_of(column)) for name, column in pairs),
        key=key_text_sql(pairs),
        query=SQL(query),
        beyond=beyond,
        size=SQL(str(PAGE)),
    )
    written = SQL(WRITE).format(keys=found, events=SQL(EVENTS), name=Literal(projection.name))
    return written.as_string(), values


def _query(projection: Projection, event: FollowEvent) -> tuple[str, dict[str, str | None]]:
    """The query for an event's keys with the driver's placeholders, and its parameters."""
    if event.place == EVERYTHING:
        columns = SQL(", ").join(identifier(column.name) for column in projection.key)
        return SQL("SELECT {} FROM {}").format(columns, qualified(projection.document)).as_string(), {}
    if not 0 <= event.place < len(projection.follow) or not projection.follow[event.place].keys:
        raise ValueError(f"{projection.name} follows no table at place {event.place} by a query")
    values = event.values
    query, names = bound(projection.follow[event.place].keys)
    if missing := [name for name in names if name not in values]:
        raise ValueError(f"the event lacks the columns {', '.join(missing)}")
    return query, {f"p{number}": values[name] for number, name in enumerate(names)}


def bound(query: str) -> tuple[str, list[str]]:
    """A `keys` query with the driver's placeholders p0, p1, … for its parameters, and their names."""
    names = [*keys_query.parameters(query)]
    text = keys_query.replaced(
        query.strip().rstrip(";"),
        lambda name: f"%(p{names.index(name)})s",
        lambda rest: rest.replace("%", "%%"),
    )
    return text, names
