"""The source of the built-in projection: the rows of search_index, which have versions of their own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from psycopg.sql import SQL, Composable

from outboxctl.core.database import Database
from outboxctl.core.documents.rows import BYTES, ChangedKey, Page, RowState, SourceRow
from outboxctl.core.documents.since import MOVED, Since
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.message import PlannedOnce, send
from outboxctl.core.produce import MAX_TYPE, MAX_VERSION
from outboxctl.core.projections.document_sql import LEFT_OUT
from outboxctl.core.projections.documents import Documents
from outboxctl.core.projections.pages import SECONDS
from outboxctl.core.refused_reads import reading_rows
from outboxctl.core.schema.names import DOCUMENT, EVENTS, PLAN, PROJECTIONS, SOURCE
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text
from outboxctl.domain.lifecycle import OPS
from outboxctl.domain.projection import BUILT_IN, Projection, Relation

# A failed event may be replayed. One with a key is a projection's, perhaps of one that is gone.
UNUSED = text(f"""
SELECT NOT EXISTS (SELECT FROM {SOURCE}) AND NOT EXISTS (
    SELECT FROM {EVENTS} WHERE status IN ('pending', 'processing', 'failed')
        AND entity_key IS NULL AND entity_type NOT IN (SELECT name FROM {PROJECTIONS}))
""")
COUNT = text(f"SELECT count(*) FROM {SOURCE} WHERE entity_type IS NOT NULL AND entity_id IS NOT NULL")
# The keys as one JSON text: a driver that adapts each of them costs a microsecond an id.
KEYS = """(SELECT left(id, -37) AS entity_type, CAST(right(id, 36) AS uuid) AS entity_id
    FROM json_array_elements_text(CAST(:ids AS json)) id OFFSET 0) k"""
# In the order of the keys, for a lateral row can only be joined by a loop over them: nothing is sorted.
DOCUMENTS = f"""
SELECT version, CASE WHEN so_far > :max_bytes AND so_far > octet_length(document) THEN '{LEFT_OUT}'
    ELSE document END
FROM (
    SELECT s.event_version AS version, s.document,
        sum(octet_length(s.document)) OVER (ROWS UNBOUNDED PRECEDING) AS so_far
    FROM {KEYS} LEFT JOIN LATERAL (
        SELECT s.event_version, {{document}} AS document FROM {SOURCE} s
        WHERE s.entity_type = k.entity_type AND s.entity_id = k.entity_id LIMIT 1
    ) s ON true
) found
"""
LOCKS = f"SELECT FROM {SOURCE} WHERE false"
TYPES = {"ids": "json", "max_bytes": "bigint"}  # of its parameters
IN_FULL, PRESENCE = text(DOCUMENTS.format(document=DOCUMENT)), text(DOCUMENTS.format(document="'{}'::text"))
# One branch for each partial index: a backlog is read once for all keys, done events never.
IN_FLIGHT = text(f"""
SELECT DISTINCT k.entity_type || ':' || k.entity_id FROM {KEYS} JOIN (
    SELECT entity_type, entity_id FROM {EVENTS} WHERE status = 'pending'
    UNION ALL SELECT entity_type, entity_id FROM {EVENTS} WHERE status = 'processing'
) e ON e.entity_type = k.entity_type AND e.entity_id = k.entity_id
""")
# The partial index on failed events has all of them; the number is bounded before equal ones are looked for.
FAILED = text(f"""
SELECT DISTINCT entity_type || ':' || entity_id
FROM (SELECT * FROM {EVENTS} WHERE status = 'failed' LIMIT :most) e
""")
MOVED_SINCE = text(f"""
SELECT EXISTS (SELECT FROM {EVENTS}
    WHERE entity_key IS NULL AND (status IN ('pending', 'processing') OR updated_at >= :since))
""")
OP_LIST = ", ".join(f"'{op}'" for op in OPS)
# An entity whose event moved or whose row is gone, with the newest version among its events.
CHANGED = text(f"""
WITH k AS MATERIALIZED (
    SELECT entity_type, entity_id, bool_or(updated_at >= :since AND {MOVED}) AS moved,
        max(event_version) FILTER (WHERE event_version BETWEEN 0 AND {MAX_VERSION}) AS newest
    FROM {EVENTS} e
    WHERE op IN ({OP_LIST}) AND updated_at >= coalesce(:gone_since, CAST(:since AS timestamptz))
    GROUP BY entity_type, entity_id
), read AS MATERIALIZED (
    SELECT * FROM k WHERE moved OR CAST(:gone_since AS timestamptz) IS NOT NULL
)
SELECT k.entity_type || ':' || k.entity_id, k.newest
FROM read k LEFT JOIN LATERAL (
    SELECT true AS there FROM {SOURCE} s
    WHERE s.entity_type = k.entity_type AND s.entity_id = k.entity_id LIMIT 1
) s ON true WHERE k.moved OR s.there IS NULL
""")
ROW = "concat(to_json({key}), E'\\n', s.event_version, E'\\n\\n', {document})"
# Where an index has the order, nothing is sorted: a sort reads all that is left for each chunk.
IN_ORDER = f"""{PLAN}; SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off;
SET LOCAL enable_bitmapscan = off"""


class EntityKey(NamedTuple):
    """The key of an entity."""

    entity_type: str
    entity_id: str


@dataclass(frozen=True)
class TableSource(DocumentSource):
    """The rows of search_index; the key of an entity is the id of its document, `type:uuid`."""

    projection: Projection = BUILT_IN
    versioned = True
    alias = "s"
    place = SOURCE

    def root(self, connection: Connection) -> Relation:
        """Where it is."""
        return Relation(places(connection).schema(SOURCE) or "public", SOURCE)

    def parts(self, key: str) -> list[str]:
        """Type and id: the type may hold a colon, a UUID has none."""
        kind, _, id_ = key.rpartition(":")
        return [kind, id_]

    def read(
        self, connection: Connection, keys: Sequence[str], *, content: bool, seconds: float = SECONDS
    ) -> list[SourceRow]:
        """The rows. Without a key, other OutboxctlErrors (through Database.begin) than ReadRefusedError."""
        with reading_rows(connection) if keys else nullcontext():
            rows = _read(connection, keys, seconds=seconds, max_bytes=BYTES, content=content)
        return [
            SourceRow(key, document, version) for key, (version, document) in zip(keys, rows, strict=True)
        ]

    def current(self, db: Database, keys: Sequence[str]) -> list[SourceRow]:
        """The rows with their versions."""
        with db.begin() as connection:
            return self.read(connection, keys, content=True)

    def latest(
        self, db: Database, keys: Sequence[str], *, seconds: float, max_bytes: int | None
    ) -> Documents:
        """The rows, each with its version; the transaction ends by the message that reads them."""
        with db.begin() as connection, reading_rows(connection):
            rows = _read(connection, keys, seconds=seconds, max_bytes=max_bytes, content=True, commit=True)
        versions, texts = zip(*rows, strict=True) if rows else ((), ())
        return Documents(None, texts, versions=versions)

    def not_keys(self, keys: Sequence[str]) -> dict[str, str]:  # noqa: ARG002
        """None: each of its events names an entity."""
        return {}

    def keys(self, db: Database, ids: Sequence[str]) -> dict[str, str]:  # noqa: ARG002
        """The ids that a worker would write."""
        return {id_: id_ for id_ in ids if is_entity(id_)}

    def nameable(self, key: str) -> bool:
        """Whether its type has room in an event."""
        return len(key.rpartition(":")[0]) <= MAX_TYPE

    def in_flight(
        self,
        connection: Connection,
        ids: Sequence[str],
        keys: Mapping[str, str] = MappingProxyType({}),  # noqa: ARG002 - of the overridden
    ) -> set[str]:
        """Of those that name an entity."""
        connection.exec_driver_sql(f"{PLAN}; SET LOCAL enable_hashjoin = on")
        return set(connection.execute(IN_FLIGHT, _values([id_ for id_ in ids if is_entity(id_)])).scalars())

    def failed(self, connection: Connection, *, most: int) -> frozenset[str]:
        """The ids of the entities of failed events."""
        connection.exec_driver_sql(PLAN)
        return frozenset(connection.execute(FAILED, {"most": most}).scalars())

    def moved(self, connection: Connection, since: datetime) -> bool:
        """Of events without a key."""
        return bool(connection.execute(MOVED_SINCE, {"since": since}).scalar())

    def changed(self, connection: Connection, since: Since, *, size: int) -> Iterator[list[ChangedKey]]:
        """Of the events' entities; one that is gone has the newest version of its events."""
        connection.exec_driver_sql(PLAN)
        options = {"stream_results": True, "max_row_buffer": size}
        rows = connection.execute(CHANGED, since.values, execution_options=options)
        for some in rows.partitions(size):
            yield [ChangedKey(key, newest=newest) for key, newest in some]

    def require(self, connection: Connection) -> None:
        """It is always in force."""

    def unreached(self, connection: Connection, *, size: int) -> Iterator[str]:  # noqa: ARG002
        """Each row has its own document."""
        return iter(())

    def documents(self, connection: Connection) -> int:
        """The rows with a key, counted."""
        return int(connection.execute(COUNT).scalar_one())

    @contextmanager
    def reading(
        self,
        connection: Connection | None,  # noqa: ARG002
        relation: Relation | None = None,  # noqa: ARG002
    ) -> Iterator[None]:
        """An error is that of the database."""
        yield

    def _row(
        self,
        connection: Connection,  # noqa: ARG002 - of the overridden
        *,
        content: bool,
        versions: bool,  # noqa: ARG002
    ) -> tuple[Composable, Composable]:
        document = SQL(DOCUMENT if content else "'{}'")
        return SQL(""), SQL(ROW).format(key=self._key(), document=document)

    def _columns(self, *, content: bool) -> Composable:
        document = SQL(DOCUMENT if content else "'{}'::text")
        return SQL("{}, s.event_version, {}, ''::text").format(self._key(), document)

    def _states(self, rows: list[RowState]) -> list[RowState]:
        return rows

    def _by_id(self, page: Page) -> Page:
        return [row for row in page if row[3]]

    def _key(self) -> Composable:
        return SQL("concat(s.entity_type, ':', s.entity_id)")

    def _prepare(self, connection: Connection) -> None:
        connection.exec_driver_sql(IN_ORDER)


def is_entity(id_: str) -> bool:
    """Whether a document's id names an entity: `type:uuid` as a worker would write it."""
    kind, colon, entity = id_.rpartition(":")
    try:
        return bool(colon) and str(UUID(entity)) == entity and "\x00" not in kind
    except ValueError:
        return False


def entity_of(id_: str) -> EntityKey:
    """The entity of such an id."""
    kind, _, entity = id_.rpartition(":")
    return EntityKey(kind, entity)


def unused(connection: Connection) -> bool:
    """Whether there is neither a row nor an event of the built-in projection that is not done."""
    return bool(connection.execute(UNUSED).scalar())


def _read(
    connection: Connection,
    ids: Sequence[str],
    *,
    seconds: float,
    max_bytes: int | None,
    content: bool,
    commit: bool = False,
) -> list[tuple[int | None, str | None]]:
    """Version and document of each, both None without a row; LEFT_OUT where `max_bytes` (UTF-8) are spent."""
    limits = f"{PLAN}; SET LOCAL statement_timeout = {max(1, int(seconds * 1_000))}"
    values, locks = _values(ids) | {"max_bytes": max_bytes}, places(connection).render(LOCKS)
    statement = PlannedOnce(IN_FULL if content else PRESENCE, values, TYPES, locks)
    return send(connection, limits, statement, commit=commit)[-1].rows


def _values(ids: Sequence[str]) -> dict[str, str]:
    return {"ids": json.dumps(ids, ensure_ascii=False)}
