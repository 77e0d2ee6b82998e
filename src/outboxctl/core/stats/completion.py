"""Values for shell completion, read from a bounded number of rows."""

from outboxctl.core.projections import choosing
from outboxctl.core.schema.names import AUDIT, EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.fingerprints import LONGEST, fingerprint
from outboxctl.domain.lifecycle import PROJECTION, Verb

MOST = 50  # values for a shell
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
ERRORS = text(f"""
SELECT error_reason, left(error, {LONGEST}) FROM {EVENTS} WHERE status = 'failed' LIMIT {LOOKED_AT}
""")
ACTS = text(f"""
SELECT id FROM (
    SELECT coalesce(act_id, id)::text AS id, max(at) AS at FROM {AUDIT}
    WHERE CAST(:action AS text) IS NULL OR action = :action GROUP BY 1) AS acts
WHERE starts_with(id, CAST(:begun AS text)) ORDER BY at DESC LIMIT {MOST}
""")

TABLES = text(f"""
SELECT name FROM (
    SELECT concat(n.nspname, '.', c.relname) AS name FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
        AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        AND has_table_privilege(c.oid, 'SELECT')) AS tables
WHERE starts_with(name, CAST(:begun AS text)) ORDER BY name LIMIT {MOST}
""")


def failed_ids(connection: Connection, begun: str) -> list[str]:
    """Ids of failed events that begin with `begun`."""
    return list(connection.execute(FAILED, {"begun": begun}).scalars())


def entity_types(connection: Connection, begun: str) -> list[str]:
    """Types that some failed events have."""
    return list(connection.execute(TYPES, {"begun": begun}).scalars())


def projections(connection: Connection, begun: str) -> list[str]:
    """The projections in force, and the built-in one."""
    return [name for name in (*choosing.names(connection), PROJECTION) if name.startswith(begun)][:MOST]


def tables(connection: Connection, begun: str) -> list[str]:
    """Tables that may be read, with their schemas."""
    return list(connection.execute(TABLES, {"begun": begun}).scalars())


def fingerprints(connection: Connection, begun: str) -> list[str]:
    """Causes that some failed events have."""
    names = {fingerprint(reason, error) for reason, error in connection.execute(ERRORS)}
    return sorted(name for name in names if name.startswith(begun))[:MOST]


def audit_ids(connection: Connection, begun: str, *, action: str | None = None) -> list[str]:
    """Audit ids, the latest first."""
    return list(connection.execute(ACTS, {"begun": begun, "action": action}).scalars())


def replays(connection: Connection, begun: str) -> list[str]:
    """Audit ids of replays, the latest first."""
    return audit_ids(connection, begun, action=Verb.REPLAY.value)
