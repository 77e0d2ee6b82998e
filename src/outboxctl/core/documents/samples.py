"""Samples of the source: random entities without reading the whole table, and the first rows' ids."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from outboxctl.core.schema.names import EVENTS, SOURCE, parts
from outboxctl.core.sql import Connection, text

SPARE = 10  # additional pages: the random choice may be short

PAGES = text(f"""
SELECT coalesce(sum(pg_relation_size(part)) / current_setting('block_size')::bigint, 0)::bigint
FROM ({parts(SOURCE)}) p
""")
# SYSTEM reads the chosen pages only: as many pages as entities are requested, then as many of their rows, so
# that the sample is spread over the whole table, whatever its keys are.
RANDOM_ENTITIES = text(f"""
SELECT entity_type, entity_id::text, event_version
FROM {SOURCE} TABLESAMPLE SYSTEM (CAST(:percent AS real))
WHERE event_version >= 0 ORDER BY random() LIMIT :size
""")
# One pass over the unfinished events, whatever number the planner assumes.
SETTLED = text(f"""
WITH busy AS MATERIALIZED (
    SELECT entity_type, entity_id FROM {EVENTS}
    WHERE status = 'pending' AND entity_id = ANY (CAST(:ids AS uuid[]))
    UNION ALL
    SELECT entity_type, entity_id FROM {EVENTS}
    WHERE status = 'processing' AND entity_id = ANY (CAST(:ids AS uuid[]))
)
SELECT s.entity_type, s.entity_id::text, s.event_version
FROM unnest(CAST(:types AS text[]), CAST(:ids AS uuid[])) g(entity_type, entity_id)
JOIN {SOURCE} s ON s.entity_type = g.entity_type AND s.entity_id = g.entity_id
WHERE NOT EXISTS (
    SELECT FROM busy b WHERE b.entity_type = g.entity_type AND b.entity_id = g.entity_id)
""")


class SampledEntity(NamedTuple):
    """A source row by its key, at the version that was read."""

    entity_type: str
    entity_id: str
    version: int

    @property
    def document_id(self) -> str:
        """Its document's id in the index."""
        return f"{self.entity_type}:{self.entity_id}"


def random_entities(connection: Connection, size: int) -> list[SampledEntity]:
    """Up to `size` random entities; fewer where the chosen pages hold fewer."""
    pages = connection.execute(PAGES).scalar_one()
    percent = min(100.0, 100 * (size + SPARE) / max(1, pages))
    rows = connection.execute(RANDOM_ENTITIES, {"percent": percent, "size": size})
    return [entity for entity in map(SampledEntity._make, rows) if _has_a_document(entity)]


def settled_entities(connection: Connection, entities: Sequence[SampledEntity]) -> list[SampledEntity]:
    """Those without a pending or processing event, as their source rows are now."""
    values = {"types": [e.entity_type for e in entities], "ids": [e.entity_id for e in entities]}
    return list(map(SampledEntity._make, connection.execute(SETTLED, values)))


def _has_a_document(entity: SampledEntity) -> bool:
    """A SQL_ASCII database may hold bytes that are no UTF-8, which cannot be in an index."""
    with suppress(UnicodeEncodeError):
        return bool(entity.document_id.encode())
    return False


SAMPLE_ROWS = 100  # rows: read in about a millisecond, wherever they lie
FIRST_ROWS = text(f"SELECT entity_type || ':' || entity_id FROM {SOURCE} LIMIT {SAMPLE_ROWS}")
SOURCE_VERSIONS = text(f"""
SELECT entity_type || ':' || entity_id, event_version FROM {SOURCE}
JOIN unnest(CAST(:ids AS text[])) i (id)
    ON entity_type = left(i.id, -37) AND entity_id = CAST(right(i.id, 36) AS uuid)
WHERE event_version IS NOT NULL
""")


def document_ids(connection: Connection) -> list[str]:
    """Those of any few rows."""
    return list(connection.execute(FIRST_ROWS).scalars())


def source_versions(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """The version of each of these source rows now."""
    rows = connection.execute(SOURCE_VERSIONS, {"ids": list(ids)})
    return {id_: version for id_, version in rows}  # noqa: C416 - rows are not typed as pairs
