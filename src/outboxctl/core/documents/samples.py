"""Samples of the source: random entities without reading the whole table."""

from outboxctl.core.schema.names import SOURCE, parts
from outboxctl.core.sql import Connection, text
from outboxctl.domain.printable import SURROGATE

SPARE = 10  # additional pages: the random choice may be short

PAGES = text(f"""
SELECT coalesce(sum(pg_relation_size(part)) / current_setting('block_size')::bigint, 0)::bigint
FROM ({parts(SOURCE)}) p
""")
# SYSTEM reads the chosen pages only: as many pages as entities are requested, then as many of their rows, so
# that the sample is spread over the whole table, whatever its keys are.
RANDOM_ENTITIES = text(f"""
SELECT entity_type || ':' || entity_id FROM {SOURCE} TABLESAMPLE SYSTEM (CAST(:percent AS real))
WHERE event_version >= 0 ORDER BY random() LIMIT :size
""")


def random_entities(connection: Connection, size: int) -> list[str]:
    """The document ids of up to `size` random entities; fewer where the chosen pages hold fewer."""
    pages = connection.execute(PAGES).scalar_one()
    percent = min(100.0, 100 * (size + SPARE) / max(1, pages))
    ids = connection.execute(RANDOM_ENTITIES, {"percent": percent, "size": size}).scalars()
    # A SQL_ASCII database may hold bytes that are no UTF-8, which cannot be in an index.
    return [id_ for id_ in ids if id_ and not SURROGATE.search(id_)]
