"""Values that a person may be about to type: read in an instant, never the whole table."""

from sqlalchemy import Connection, TextClause, text

from outboxctl.core.schema import AUDIT, EVENTS

MOST = 50  # values a shell is offered
LOOKED_AT = 10_000  # failed events

FAILED = text(f"""
SELECT id::text FROM {EVENTS}
WHERE status = 'failed' AND starts_with(id::text, CAST(:begun AS text)) LIMIT {MOST}
""")
TYPES = text(f"""
SELECT DISTINCT entity_type FROM (
    SELECT entity_type FROM {EVENTS} WHERE status = 'failed' LIMIT {LOOKED_AT}) AS first
WHERE starts_with(entity_type::text, CAST(:begun AS text)) LIMIT {MOST}
""")
REPLAYS = text(f"""
SELECT id FROM (
    SELECT DISTINCT ON (coalesce(act_id, id)) coalesce(act_id, id)::text AS id, at FROM {AUDIT}
    WHERE action = 'replay' ORDER BY coalesce(act_id, id), at DESC) AS acts
WHERE starts_with(id, CAST(:begun AS text)) ORDER BY at DESC LIMIT {MOST}
""")


def failed_ids(connection: Connection, begun: str) -> list[str]:
    """Ids of failed events that begin like this."""
    return _values(connection, FAILED, begun)


def entity_types(connection: Connection, begun: str) -> list[str]:
    """Types that some failed events have."""
    return _values(connection, TYPES, begun)


def replays(connection: Connection, begun: str) -> list[str]:
    """Audit ids of replays, the latest first."""
    return _values(connection, REPLAYS, begun)


def _values(connection: Connection, statement: TextClause, begun: str) -> list[str]:
    return list(connection.execute(statement, {"begun": begun}).scalars())
