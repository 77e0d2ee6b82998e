"""Rights: what a worker and an operator need of the tables, and what this role lacks, by name."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from outboxctl.core.examine.tables import WRITTEN
from outboxctl.core.schema import AUDIT, EVENTS, MARKER, SOURCE, WORKERS

# Per column, because a role may have been given just the columns that it needs.
LACKING = text("""
SELECT quote_ident(a.attname) FROM pg_attribute a
WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped
    AND (CAST(:columns AS text[]) IS NULL OR a.attname = ANY (CAST(:columns AS text[])))
    AND NOT has_column_privilege(a.attrelid, a.attnum, :privilege)
ORDER BY a.attnum
""")
ROLE = text("SELECT quote_ident(current_user)")
NO_DELETE = text("""
SELECT NOT has_table_privilege(oid, 'DELETE') FROM pg_class WHERE oid = to_regclass(:table)
""")
REPLAYED = ("status", "attempts", "next_retry_at", "error_reason", "error", "replay_count", "updated_at")

Need = tuple[str, str, tuple[str, ...] | None]  # privilege, table, columns (None: all)
READER: tuple[Need, ...] = (
    ("SELECT", EVENTS, None),
    ("SELECT", SOURCE, None),
    ("SELECT", MARKER, None),
)
WORKER: tuple[Need, ...] = (
    ("UPDATE", EVENTS, WRITTEN),
    ("INSERT", WORKERS, None),
    ("UPDATE", WORKERS, ("heartbeat_at",)),
    ("DELETE", WORKERS, None),
)
OPERATOR: tuple[Need, ...] = (
    ("UPDATE", EVENTS, REPLAYED),
    ("SELECT", AUDIT, None),
    ("INSERT", AUDIT, None),
)


@dataclass(frozen=True)
class Right:
    """A privilege that is lacking, as GRANT words it: `UPDATE (status, owner)`, and its table."""

    privilege: str
    table: str


@dataclass(frozen=True)
class Rights:
    """What the role (quoted for SQL) lacks to read, to work and to operate."""

    role: str
    reader: list[Right]
    worker: list[Right]
    operator: list[Right]


def rights(connection: Connection) -> Rights:
    """Compare what this role may do with what is needed; a missing table lacks nothing."""
    role = str(connection.execute(ROLE).scalar_one())
    return Rights(role, *(_lacking(connection, needs) for needs in (READER, WORKER, OPERATOR)))


def _lacking(connection: Connection, needs: tuple[Need, ...]) -> list[Right]:
    return [right for need in needs for right in _one(connection, *need)]


def _one(connection: Connection, privilege: str, table: str, columns: tuple[str, ...] | None) -> list[Right]:
    if privilege == "DELETE":  # it has no columns
        lacks = connection.execute(NO_DELETE, {"table": table}).scalar()
        return [Right(privilege, table)] if lacks else []
    given = {"table": table, "privilege": privilege, "columns": list(columns) if columns else None}
    names = connection.execute(LACKING, given).scalars().all()
    if not names:
        return []
    return [Right(privilege if columns is None else f"{privilege} ({', '.join(names)})", table)]
