"""Source rows for a rebuild: those of recent events, and single ones. All of them: source_stream.py."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import NamedTuple

from outboxctl.core.delivery.claim import LEFT_OUT, PLAN
from outboxctl.core.documents.since import MOVED, Since
from outboxctl.core.produce import MAX_VERSION
from outboxctl.core.refused_reads import reading_rows
from outboxctl.core.schema.names import DOCUMENT, EVENTS, SOURCE
from outboxctl.core.sql import Connection, text
from outboxctl.domain.lifecycle import OPS

COUNT = text(f"SELECT count(*) FROM {SOURCE}")
# An adopted table may have its unique index in the other column order, which all reading then follows.
FIRST = text(f"""
SELECT CASE WHEN count(*) > 0 AND bool_and(a.attname = 'entity_id') THEN 'entity_id' ELSE 'entity_type' END
FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = '{SOURCE}'::regclass AND i.indisunique AND i.indpred IS NULL AND i.indnkeyatts = 2
    AND (SELECT count(*) FROM pg_attribute b WHERE b.attrelid = i.indrelid
         AND b.attnum = ANY (i.indkey) AND b.attname IN ('entity_type', 'entity_id')) = 2
""")
ROW = f"""LEFT JOIN LATERAL (
    SELECT s.event_version, {DOCUMENT} AS document FROM {SOURCE} s
    WHERE s.entity_type = k.entity_type AND s.entity_id = k.entity_id LIMIT 1
) s ON true"""
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
SELECT k.entity_type, k.entity_id::text, k.newest
FROM read k LEFT JOIN LATERAL (
    SELECT true AS there FROM {SOURCE} s
    WHERE s.entity_type = k.entity_type AND s.entity_id = k.entity_id AND NOT k.moved LIMIT 1
) s ON true WHERE k.moved OR s.there IS NULL
""")
NAMED = text(f"""
SELECT k.entity_type, k.entity_id::text, s.event_version, s.document, k.newest
FROM unnest(CAST(:types AS text[]), CAST(:ids AS uuid[]), CAST(:versions AS bigint[]))
    k (entity_type, entity_id, newest) {ROW}
""")
# As the claim reads them.
DOCUMENTS = text(f"""
SELECT version, CASE WHEN so_far > :max_bytes AND so_far > octet_length(document) THEN '{LEFT_OUT}'
    ELSE document END
FROM (
    SELECT k.place, s.event_version AS version, s.document,
        sum(octet_length(s.document)) OVER (ORDER BY k.place ROWS UNBOUNDED PRECEDING) AS so_far
    FROM unnest(CAST(:types AS text[]), CAST(:ids AS uuid[])) WITH ORDINALITY
        k (entity_type, entity_id, place) {ROW}
) found ORDER BY place
""")

Key = tuple[str, str]  # an entity's type and id
SourceDocument = tuple[int | None, str | None]  # a row's version, and its document; both None without a row
ChangedKey = tuple[str, str, int | None]  # with the version that a delete has, if its row is gone


class SourceEntity(NamedTuple):
    """An entity and its row as JSON text (`document`), None where it is gone.

    `newest` is the newest version among its events, which a delete has where the row is gone.
    """

    entity_type: str
    entity_id: str
    version: int | None
    document: str | None
    newest: int | None = None


def count(connection: Connection) -> int:
    """How many entities there are."""
    return int(connection.execute(COUNT).scalar_one())


def changed(connection: Connection, since: Since, *, size: int) -> Iterator[list[ChangedKey]]:
    """The entities whose events changed, and those that are gone, `size` at a time; in one snapshot."""
    connection.exec_driver_sql(PLAN)
    options = {"stream_results": True, "max_row_buffer": size}
    rows = connection.execute(CHANGED, since.values, execution_options=options)
    for some in rows.partitions(size):
        yield [(kind, id_, newest) for kind, id_, newest in some]


def named(connection: Connection, keys: Sequence[ChangedKey]) -> list[SourceEntity]:
    """These entities as they are now.

    Raises ReadRefusedError; without a key, other OutboxctlErrors (through Database.begin) in place of it.
    """
    connection.exec_driver_sql(PLAN)
    types, ids, versions = zip(*keys, strict=True) if keys else ((), (), ())
    values = {"types": list(types), "ids": list(ids), "versions": list(versions)}
    with reading_rows(connection) if keys else nullcontext():
        return [SourceEntity(*row) for row in connection.execute(NAMED, values)]


def documents(
    connection: Connection, keys: Sequence[Key], *, seconds: float, max_bytes: int | None
) -> list[SourceDocument]:
    """The documents of these entities as they are now, in their order, in at most `seconds`.

    They have at most `max_bytes` (UTF-8) in all, or there is only one; the others are LEFT_OUT. Raises
    ReadRefusedError for what PostgreSQL raises while it reads; without a key, for what no row is the reason.
    """
    connection.exec_driver_sql(f"{PLAN}; SET LOCAL statement_timeout = {max(1, int(seconds * 1_000))}")
    values = {"types": [kind for kind, _ in keys], "ids": [id_ for _, id_ in keys], "max_bytes": max_bytes}
    with reading_rows(connection):
        return [(version, document) for version, document in connection.execute(DOCUMENTS, values)]
