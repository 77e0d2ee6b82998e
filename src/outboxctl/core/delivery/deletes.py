"""Delivered deletes that are to be repeated: written with the outcome of their events, taken, removed.

Rows are added and removed, never merged, so no session waits for another session's row.
"""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from outboxctl.core.message import Statement
from outboxctl.core.schema.names import DELETES, PLAN, PROJECTIONS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.lifecycle import PROJECTION

# One JSON text: the driver takes 2 us for each element of an array.
INSERT = text(f"""
INSERT INTO {DELETES} (projection, document_id, version, index_name, due_at)
SELECT d ->> 0, d ->> 1, CAST(d ->> 2 AS bigint), d ->> 3,
    now() + make_interval(secs => CAST(:first AS float8))
FROM json_array_elements(CAST(:deletes AS json)) d
""")
# Of any projection that has some: one whose delivery raises an error must not always be the first. They are
# due again after a lease, since the worker may die or get no answer, and not before their last time.
TAKE = text(f"""
UPDATE {DELETES} SET due_at = greatest(
    delivered_at + make_interval(secs => CAST(:last AS float8)),
    now() + make_interval(secs => CAST(:lease AS float8)))
WHERE id = ANY (ARRAY (
    SELECT id FROM {DELETES} WHERE due_at <= now() AND projection = (
        SELECT name FROM (SELECT name FROM {PROJECTIONS} UNION ALL SELECT '{PROJECTION}') p
        WHERE name <> ALL (CAST(:refused AS text[]))
            AND EXISTS (SELECT FROM {DELETES} d WHERE d.projection = p.name AND d.due_at <= now())
        ORDER BY random() LIMIT 1)
    ORDER BY due_at LIMIT CAST(:size AS integer) FOR UPDATE SKIP LOCKED))
RETURNING projection, document_id, version, index_name,
    CASE WHEN delivered_at + make_interval(secs => CAST(:last AS float8)) <= now() THEN id END
""")
REMOVE = text(f"DELETE FROM {DELETES} WHERE id = ANY (CAST(:ids AS bigint[]))")
DROP = text(f"DELETE FROM {DELETES} WHERE projection = :projection")


class DeliveredDelete(NamedTuple):
    """A delete that the index has answered; `alias` is its index if a column of the document chooses it.

    `document_id` ends with the whole key, even if the `_id` has a hash of it. `row`: the id of its row, if it
    is to be removed once the delete has been repeated.
    """

    projection: str
    document_id: str
    version: int
    alias: str = ""
    row: int | None = None


def inserting(deletes: Sequence[DeliveredDelete], *, first: float) -> list[Statement]:
    """Return the statement that writes deletes down, due for the first time in `first` seconds."""
    values = {"deletes": json.dumps(deletes, ensure_ascii=False), "first": first}
    return [(INSERT, values)] if deletes else []


def take(
    connection: Connection, *, size: int, lease: float, last: float, refused: Sequence[str] = ()
) -> list[DeliveredDelete]:
    """Take up to `size` due deletes of one projection in force that is not `refused`, for `lease` seconds.

    They are repeated for the last time if they were delivered `last` seconds ago.
    """
    connection.exec_driver_sql(PLAN)
    values = {"size": size, "lease": lease, "last": last, "refused": list(refused)}
    return [DeliveredDelete(*row) for row in connection.execute(TAKE, values)]


def remove(connection: Connection, deletes: Iterable[DeliveredDelete]) -> None:
    """Remove those that were repeated for the last time."""
    connection.exec_driver_sql(PLAN)
    connection.execute(REMOVE, {"ids": [each.row for each in deletes if each.row is not None]})


def drop(connection: Connection, projection: str) -> None:
    """Remove the deletes of a projection that is taken out of force."""
    connection.execute(DROP, {"projection": projection})
