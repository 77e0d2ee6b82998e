"""The query for the keys behind follow events: that of the declaration, for one changed row or for many."""

import json
from collections.abc import Mapping, Sequence

from psycopg.sql import SQL

from outboxctl.core.projections.follow_pages import BAD_CURSOR, FollowEvent
from outboxctl.core.projections.key_sql import identifier, qualified
from outboxctl.domain import keys_query
from outboxctl.domain.projection import DOCUMENTS, EVERYTHING, Follow, Projection

OF_ROOT = "of_root"  # in the cursor of the event for every document, where the view raises for some row
# The columns of all changed rows as one JSON text: arrays cost the worker more. The user's query sees them by
# a name that is no name of its own.
CHANGED = '"outboxctl changed rows"'
OF_ROWS = f"""
                SELECT q.* FROM json_to_recordset(CAST(%(rows)s AS json)) AS {CHANGED} ({{columns}})
                CROSS JOIN LATERAL (
{{query}}
                ) q"""


def of_rows(projection: Projection, events: Sequence[FollowEvent]) -> tuple[str, dict[str, str]]:
    """The query for the keys of several events, with the driver's placeholder, and its parameter."""
    followed = _followed(projection, events[0])
    query, names = bound(followed.keys, _types(followed), CHANGED + ".p{}")
    rows = {tuple(row[name] for name in names) for event in events for row in event.rows}
    objects = [{f"p{n}": value for n, value in enumerate(row)} for row in rows]
    # A type of the user's is read from JSON by its input function: a cast may be a function of its owner's.
    types = [_types(followed).get(name, "") for name in names] or [""]
    own = [kind.replace("%", "%%") if _is_own(kind) else "text" for kind in types]
    columns = SQL(", ").join(SQL(f"p{n} {kind}") for n, kind in enumerate(own))
    return SQL(OF_ROWS).format(columns=columns, query=SQL(query)).as_string(), {
        "rows": json.dumps(objects, ensure_ascii=False)
    }


def of_event(projection: Projection, event: FollowEvent) -> tuple[str, Mapping[str, str | None]]:
    """The query for an event's keys with the driver's placeholders, and its parameters."""
    if event.place == EVERYTHING:
        relation = projection.root if event.cursor.get(OF_ROOT) else projection.document
        columns = SQL(", ").join(identifier(column.name) for column in projection.key)
        return SQL("SELECT {} FROM {}").format(columns, qualified(relation)).as_string(), {}
    if event.of_several:
        return of_rows(projection, [event])
    followed = _followed(projection, event)
    query, names = bound(followed.keys, _types(followed))
    return query, {f"p{number}": event.rows[0][name] for number, name in enumerate(names)}


def _followed(projection: Projection, event: FollowEvent) -> Follow:
    """The followed table that the event was written for. ValueError where there is none with a query."""
    followed = projection.followed(event.place, event.name)
    if followed is None:
        raise ValueError(f"{projection.name} does not follow {event.name or event.place} by a query")
    return followed


def _is_own(kind: str) -> bool:
    return bool(kind) and not kind.startswith("pg_catalog.")


def _types(followed: Follow) -> dict[str, str]:
    return dict(zip(followed.parameters, followed.types, strict=False))


def fits(projection: Projection, event: FollowEvent) -> bool:
    """Whether the projection has the query that the event was written for, and the event its parameters.

    Raises ValueError where its key is no JSON object, or its cursor none of ours.
    """
    if event.cursor is BAD_CURSOR:
        raise ValueError("its follow_cursor is not one that a worker writes")
    if event.place == EVERYTHING or not event.key:
        return event.place == EVERYTHING
    if event.place == DOCUMENTS:
        return True
    followed = projection.followed(event.place, event.name)
    return followed is not None and event.has({*followed.parameters})


def together(projection: Projection, events: Sequence[FollowEvent]) -> list[FollowEvent]:
    """Those of these events of one table whose keys one query finds: that of the first one.

    None where the first one does not fit, or its query's parameters have no types: it is expanded by itself.
    """
    found = [event for event in events if _may_join(projection, event, events[0])]
    return found if found[:1] == [events[0]] else []


def _may_join(projection: Projection, event: FollowEvent, first: FollowEvent) -> bool:
    """Whether the event is of the query of the first one, and fits."""
    try:
        if event.place == DOCUMENTS:
            return bool(event.documents)
        followed = _followed(projection, event)
        typed = len(followed.types) == len(followed.parameters)
        return typed and event.name == first.name and event.has({*followed.parameters})
    except ValueError:
        return False


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
