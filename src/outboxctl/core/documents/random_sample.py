"""Entities of the source, picked at random without reading all of it."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection, text

from outboxctl.core.schema.names import EVENTS, SOURCE, parts

SPARE = 10  # pages more than asked for: chance may choose fewer

PAGES = text(f"""
SELECT coalesce(sum(pg_relation_size(part)) / current_setting('block_size')::bigint, 0)::bigint
FROM ({parts(SOURCE)}) p
""")
# SYSTEM reads the chosen pages only. As many pages as entities are wanted, then as many of their rows:
# the sample is spread over the whole table, whatever its keys look like.
CHOOSE = text(f"""
SELECT entity_type, entity_id::text, event_version
FROM {SOURCE} TABLESAMPLE SYSTEM (CAST(:percent AS real))
WHERE event_version >= 0 ORDER BY random() LIMIT :size
""")
# One pass over the events under way, whatever the planner thinks of their number.
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


def choose(connection: Connection, size: int) -> list[SampledEntity]:
    """Up to `size` random entities; fewer where the pages that chance chose hold fewer."""
    pages = connection.execute(PAGES).scalar_one()
    percent = min(100.0, 100 * (size + SPARE) / max(1, pages))
    rows = connection.execute(CHOOSE, {"percent": percent, "size": size})
    return [entity for entity in map(SampledEntity._make, rows) if _has_a_document(entity)]


def settled(connection: Connection, entities: Sequence[SampledEntity]) -> list[SampledEntity]:
    """Those of which no event is pending or processing, as their source rows are now."""
    given = {"types": [e.entity_type for e in entities], "ids": [e.entity_id for e in entities]}
    return list(map(SampledEntity._make, connection.execute(SETTLED, given)))


def _has_a_document(entity: SampledEntity) -> bool:
    """Bytes that are no UTF-8, in a database that holds any, can be in no index."""
    with suppress(UnicodeEncodeError):
        return bool(entity.document_id.encode())
    return False
