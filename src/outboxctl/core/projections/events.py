"""Events of a projection: those in flight, those that changed lately, and new ones of a repair."""

from collections.abc import Iterator, Sequence
from itertools import chain

from outboxctl.core.documents.since import MOVED, Since
from outboxctl.core.projections import follow_pages
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import DOCUMENTS, MAX_PAGE_BYTES

ROWS = 100  # that are read at a time: one may name the documents of half a page
# The key, or its hash where an `_id` has no room for it.
ID = """CASE WHEN octet_length(entity_key) > CAST(:longest AS int)
    THEN 'sha256:' || encode(sha256(convert_to(entity_key, 'UTF8')), 'hex') ELSE entity_key END"""
# Of these keys, or hashes of them (`Projection.key_in`), those with an event that is not settled; NULL where
# one stands for documents that are not known yet. One branch for each partial index: a backlog is
# read once for all keys, done events never.
IN_FLIGHT = text(f"""
WITH e AS MATERIALIZED (
    SELECT entity_key, follow FROM {EVENTS} WHERE status = 'pending' AND entity_type = :name
    UNION ALL SELECT entity_key, follow FROM {EVENTS} WHERE status = 'processing' AND entity_type = :name
)
SELECT DISTINCT CASE WHEN follow IS NULL THEN {ID} END FROM e
WHERE follow IS NOT NULL OR {ID} = ANY (CAST(:keys AS text[]))
""")
# A follow event becomes events of documents: those are what is sent.
CHANGED = text(f"""
SELECT entity_key, follow, moved FROM (
    SELECT entity_key, follow, bool_or(updated_at >= :since AND {MOVED}) AS moved FROM {EVENTS} e
    WHERE entity_type = :name AND entity_key IS NOT NULL
        AND (follow IS NULL OR follow = {DOCUMENTS} AND octet_length(entity_key) <= {MAX_PAGE_BYTES})
        AND updated_at >= coalesce(:gone_since, CAST(:since AS timestamptz))
    GROUP BY entity_key, follow
) k WHERE moved OR CAST(:gone_since AS timestamptz) IS NOT NULL
""")
MOVED_SINCE = text(f"""
SELECT EXISTS (SELECT FROM {EVENTS}
    WHERE entity_type = :name AND (status IN ('pending', 'processing') OR updated_at >= :since))
""")
# The partial index on failed events has all of them; the number is bounded before equal ones are looked for.
FAILED = text(f"""
SELECT DISTINCT entity_key FROM (SELECT * FROM {EVENTS} WHERE status = 'failed' LIMIT :most) e
WHERE entity_type = :name AND entity_key IS NOT NULL
""")
# No other column: a worker's role may write no more.
WRITE = text(f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, entity_key)
SELECT CAST(:name AS text), md5(CAST(:name AS text) || ':' || key)::uuid, 'upsert', key
FROM unnest(CAST(:keys AS text[])) key
RETURNING id::text
""")


def changed(
    connection: Connection, name: str, since: Since, *, size: int
) -> Iterator[list[tuple[str, bool]]]:
    """The keys of events that changed, or whose document may be gone, each with whether it changed.

    In lists of at most `size`; one snapshot.
    """
    options = {"stream_results": True, "max_row_buffer": ROWS}
    rows = connection.execute(CHANGED, since.values | {"name": name}, execution_options=options)
    keys = dict[str, bool]()
    for text_, place, moved in chain.from_iterable(rows.partitions(ROWS)):
        for key in follow_pages.named(text_, place):
            keys[key] = keys.get(key, False) or moved
            if len(keys) == size:
                yield [*keys.items()]
                keys.clear()
    if keys:
        yield [*keys.items()]


def write(connection: Connection, name: str, keys: Sequence[str]) -> list[str]:
    """Write an event for each of these keys; return the events' ids."""
    return [*connection.execute(WRITE, {"name": name, "keys": list(keys)}).scalars()]
