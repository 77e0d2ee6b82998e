"""Source rows as documents, by key.

Nothing here depends on the table's statistics or on the database's collation: types are only compared for
equality, and ids as numbers.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import NamedTuple

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.refused_reads import reading_rows
from outboxctl.core.schema.names import DOCUMENT, EVENTS, PROJECTIONS, SOURCE, parts
from outboxctl.core.sql import Connection, text
from outboxctl.domain.errors import UsageError

# One snapshot for a source row and its events; the server refuses every change.
READ = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
SIZE = text(f"""
SELECT count(*), (SELECT sum(pg_table_size(part)) FROM ({parts(SOURCE)}) parts) / greatest(count(*), 1)
FROM {SOURCE}
""")
# A failed event may be replayed. One with a key is a projection's, perhaps of one that is gone.
UNUSED = text(f"""
SELECT NOT EXISTS (SELECT FROM {SOURCE}) AND NOT EXISTS (
    SELECT FROM {EVENTS} WHERE status IN ('pending', 'processing', 'failed')
        AND entity_key IS NULL AND entity_type NOT IN (SELECT name FROM {PROJECTIONS}))
""")
ID = "s.entity_type || ':' || s.entity_id"
KEYS = "unnest(CAST(:types AS text[]), CAST(:ids AS uuid[])) k (t, id)"
NOW = text(f"""
SELECT {ID}, s.event_version, {DOCUMENT}
FROM {KEYS} JOIN {SOURCE} s ON s.entity_type = k.t AND s.entity_id = k.id
""")
PRESENT = text(f"SELECT {ID} FROM {KEYS} JOIN {SOURCE} s ON s.entity_type = k.t AND s.entity_id = k.id")
# One branch for each partial index: a backlog is read once for all keys, done events never.
IN_FLIGHT = text(f"""
SELECT DISTINCT k.t || ':' || k.id FROM {KEYS} JOIN (
    SELECT entity_type, entity_id FROM {EVENTS} WHERE status = 'pending'
    UNION ALL SELECT entity_type, entity_id FROM {EVENTS} WHERE status = 'processing'
) e ON e.entity_type = k.t AND e.entity_id = k.id
""")
# The partial index on failed events has all of them; the number is bounded before equal ones are looked for.
FAILED_EVENTS = f"(SELECT * FROM {EVENTS} WHERE status = 'failed' LIMIT :most) e"
FAILED = text(f"SELECT DISTINCT entity_type || ':' || entity_id FROM {FAILED_EVENTS}")
FAILED_KEYS = text(f"""
SELECT DISTINCT entity_key FROM {FAILED_EVENTS} WHERE entity_type = :projection AND entity_key IS NOT NULL
""")


class Key(NamedTuple):
    """The key of an entity."""

    entity_type: str
    entity_id: str


class TableSize(NamedTuple):
    """Rows, and bytes of one on disk on average, its large values included."""

    rows: int
    width: int


class SourceRow(NamedTuple):
    """A source row: its document's id, its version, its document as JSON text (None if not asked for)."""

    id: str
    version: int | None
    document: str | None


class EntityStates(NamedTuple):
    """Entities at one moment: their rows by document id, and the ids of those with unfinished events.

    `errors`: by id, why rows cannot be read.
    """

    rows: dict[str, SourceRow]
    in_flight: set[str]
    errors: Mapping[str, str] = {}


def unused(connection: Connection) -> bool:
    """Whether there is neither a row nor an event of the built-in projection that is not done."""
    return bool(connection.execute(UNUSED).scalar())


def require_primary(connection: Connection) -> None:
    """Raise UsageError on a standby: its rows are behind what was delivered, which is no difference."""
    connection.exec_driver_sql(READ)
    if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
        raise UsageError(
            "the database is a standby: its rows may be behind what was delivered",
            hint="compare with the primary: DATABASE_URL",
        )


def table_size(connection: Connection) -> TableSize:
    """How much the table holds."""
    connection.exec_driver_sql(READ)
    rows, width = connection.execute(SIZE).one()
    return TableSize(rows, int(width))


def present(connection: Connection, keys: Sequence[Key]) -> set[str]:
    """The ids of those of these entities that have a row."""
    prepare(connection)
    return set(connection.execute(PRESENT, _values(keys)).scalars())


def state(connection: Connection, keys: Sequence[Key]) -> EntityStates:
    """Rows and unfinished events of these entities, in one snapshot.

    Raises ReadRefusedError; without a key, other OutboxctlErrors (through Database.begin) in place of it.
    """
    prepare(connection)
    with reading_rows(connection) if keys else nullcontext():
        found = connection.execute(NOW, _values(keys)).all()
    return EntityStates({row[0]: SourceRow(*row) for row in found}, _in_flight(connection, keys))


def in_flight(connection: Connection, keys: Sequence[Key]) -> set[str]:
    """The ids of those of these entities that have unfinished events."""
    prepare(connection)
    return _in_flight(connection, keys)


def _in_flight(connection: Connection, keys: Sequence[Key]) -> set[str]:
    connection.exec_driver_sql("SET LOCAL enable_hashjoin = on")
    return set(connection.execute(IN_FLIGHT, _values(keys)).scalars())


def _values(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {"types": [key.entity_type for key in keys], "ids": [key.entity_id for key in keys]}


def failed(connection: Connection, *, most: int) -> frozenset[str]:
    """The ids of documents that have a failed event; `most` failed events are looked at."""
    prepare(connection)
    return frozenset(connection.execute(FAILED, {"most": most}).scalars())


def failed_keys(connection: Connection, projection: str, *, most: int) -> frozenset[str]:
    """The keys of a projection that have a failed event; `most` failed events, of all, are looked at."""
    prepare(connection)
    return frozenset(connection.execute(FAILED_KEYS, {"projection": projection, "most": most}).scalars())


def prepare(connection: Connection) -> None:
    """Read one snapshot, by plans that do not lean on statistics, with times in UTC."""
    connection.exec_driver_sql(READ)
    connection.exec_driver_sql(PLAN)
