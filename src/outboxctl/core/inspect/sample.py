"""A few source rows: how large their documents are, and at which version."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from outboxctl.core.schema.names import SOURCE

SAMPLE = 100  # rows: read in about a millisecond, wherever they lie
ROWS = text(f"""
SELECT s.entity_type || ':' || s.entity_id AS id, octet_length(to_json(s)::text) AS bytes
FROM (SELECT * FROM {SOURCE} LIMIT {SAMPLE}) s
""")
VERSIONS = text(f"""
SELECT entity_type || ':' || entity_id, event_version FROM {SOURCE}
JOIN unnest(CAST(:ids AS text[])) i (id)
    ON entity_type = left(i.id, -37) AND entity_id = CAST(right(i.id, 36) AS uuid)
WHERE event_version IS NOT NULL
""")


@dataclass(frozen=True)
class DocumentSample:
    """Document ids of some source rows, and their average size in bytes (0.0 where there are none)."""

    ids: list[str]
    document_bytes: float


def sample(connection: Connection) -> DocumentSample:
    """Any few rows."""
    rows = connection.execute(ROWS).all()
    return DocumentSample([row.id for row in rows], sum(row.bytes for row in rows) / max(len(rows), 1))


def versions(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """The version of each of these source rows now."""
    found: dict[str, int] = dict(connection.execute(VERSIONS, {"ids": list(ids)}).all())
    return found
