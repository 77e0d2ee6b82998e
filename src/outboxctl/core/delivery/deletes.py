"""Delivered deletes, to be sent again: written with their events' outcome, taken for a lease, recorded.

A row stays until the delete has been sent for the last time, when no older write can be on its way any more.
Rows are added and removed, never merged: nothing waits for another session's row, and a row is right whatever
becomes of others of its document, since the index takes the highest version.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from outboxctl.core.schema.names import DELETES, PLAN, SOURCE
from outboxctl.core.sql import Connection, text
from outboxctl.domain.lifecycle import PROJECTION

# A part of the statement that completes the events (settle.py): no further round trip.
NOTED = f"""
INSERT INTO {DELETES} (projection, document_id, version, routing, index_name, delivered_at, due_at)
SELECT :projection, n.*, now(),
    now() + make_interval(secs => CAST(:first AS float8))
FROM ROWS FROM (json_array_elements_text(CAST(:documents AS json)), unnest(CAST(:versions AS bigint[])),
    json_array_elements_text(CAST(:routings AS json)), json_array_elements_text(CAST(:aliases AS json))) n
"""
# Each name once, by the first column of the index; then whether one of its rows is due.
DUE = text(f"""
WITH RECURSIVE names (name) AS (
    (SELECT projection FROM {DELETES} ORDER BY projection LIMIT 1)
    UNION ALL
    SELECT (SELECT d.projection FROM {DELETES} d WHERE d.projection > n.name ORDER BY d.projection LIMIT 1)
    FROM names n WHERE num_nonnulls(n.name) = 1
)
SELECT name FROM names WHERE num_nonnulls(name) = 1
    AND EXISTS (SELECT FROM {DELETES} d WHERE d.projection = name AND d.due_at <= now())
""")
# Taken for the last time it is due again after a lease: a worker may die, or get no answer. Taken before that
# it is due for the last time next, whatever becomes of this one.
TAKE = text(f"""
UPDATE {DELETES} SET due_at = greatest(
    delivered_at + make_interval(secs => CAST(:last AS float8)),
    now() + make_interval(secs => CAST(:lease AS float8)))
WHERE id = ANY (ARRAY (
    SELECT id FROM {DELETES} WHERE projection = :projection AND due_at <= now()
    ORDER BY due_at LIMIT CAST(:size AS integer) FOR UPDATE SKIP LOCKED))
RETURNING id, document_id, version, routing, index_name,
    delivered_at + make_interval(secs => CAST(:last AS float8)) <= now()
""")
# A document id ends with a UUID (claim.ID); one that somebody wrote by hand must not stop the others.
UUID = "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"
# An entity that was created again is sent by its own event. Its version may be the delete's, where the
# application counts so: then the delete would win.
CREATED_AGAIN = text(f"""
DELETE FROM {DELETES} d USING {SOURCE} s
WHERE d.id = ANY (CAST(:ids AS bigint[]))
    AND s.entity_type = left(d.document_id, -37) AND s.entity_id =
        CASE WHEN right(d.document_id, 36) ~ {UUID} THEN CAST(right(d.document_id, 36) AS uuid) END
RETURNING d.id
""")
# Locked by another worker that took them after our lease: those are its.
REMOVE = text(f"""
DELETE FROM {DELETES} WHERE id = ANY (ARRAY (
    SELECT id FROM {DELETES} WHERE id = ANY (CAST(:ids AS bigint[])) FOR UPDATE SKIP LOCKED))
""")
DROP = text(f"DELETE FROM {DELETES} WHERE projection = :projection")


class DeliveredDelete(NamedTuple):
    """A delete that the index has answered; `projection` as the metrics name it, `routing` may be "".

    `alias`: the index, where a column of the document chooses it.
    """

    projection: str
    document_id: str
    version: int
    routing: str
    alias: str = ""


class DueDelete(NamedTuple):
    """One that is to be sent again, perhaps for the `last` time; `id` is that of its row."""

    id: int
    document_id: str
    version: int
    routing: str
    alias: str
    last: bool


def noted(deletes: Sequence[DeliveredDelete], *, first: float) -> dict[str, Any]:
    """The parameters of NOTED: these, all of one projection, are due in `first` seconds.

    As texts: the driver takes 2 us for each element of an array.
    """
    return {
        "first": first,
        "projection": deletes[0].projection,
        "documents": json.dumps([each.document_id for each in deletes], ensure_ascii=False),
        "versions": f"{{{','.join(str(each.version) for each in deletes)}}}",
        "routings": json.dumps([each.routing for each in deletes], ensure_ascii=False),
        "aliases": json.dumps([each.alias for each in deletes], ensure_ascii=False),
    }


def due(connection: Connection) -> list[str]:
    """The projections, as the metrics name them, of which a delete is due to be sent again."""
    connection.exec_driver_sql(PLAN)
    return list(connection.execute(DUE).scalars())


def take(
    connection: Connection,
    projection: str,
    *,
    size: int,
    lease: float,
    last: float,
) -> list[DueDelete]:
    """Up to `size` deletes of a projection that are due, the oldest.

    They are due again `last` seconds after they were delivered, and no sooner than in `lease` seconds. Those
    whose entity has a row in search_index again are removed, and not returned.
    """
    connection.exec_driver_sql(PLAN)
    values = {"projection": projection, "size": size, "lease": lease, "last": last}
    taken = sorted(map(DueDelete._make, connection.execute(TAKE, values)))
    if projection != PROJECTION or not taken:
        return taken
    back = set(connection.execute(CREATED_AGAIN, {"ids": [each.id for each in taken]}).scalars())
    return [each for each in taken if each.id not in back]


def remove(connection: Connection, ids: Sequence[int]) -> None:
    """Remove rows whose deletes need not be sent again."""
    connection.exec_driver_sql(PLAN)
    connection.execute(REMOVE, {"ids": list(ids)})


def drop(connection: Connection, projection: str) -> int:
    """Remove the deletes of a projection that is not in force; returns how many."""
    return connection.execute(DROP, {"projection": projection}).rowcount
