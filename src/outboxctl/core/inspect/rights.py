"""What this session's role lacks of the rights in `outboxctl roles`: as a reader, worker, operator."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outboxctl.core.schema.names import EVENTS
from outboxctl.core.schema.roles import RIGHTS, Right, Role
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text

CURRENT_ROLE = text("SELECT quote_ident(current_user)")
MAY_UPDATE = text(f"""
SELECT coalesce(has_any_column_privilege(to_regclass('{EVENTS}')::oid, 'UPDATE'), false)
""")
# By column, because a role may have rights to just the columns that it needs.
MISSING_COLUMNS = text("""
SELECT quote_ident(a.attname) FROM pg_attribute a
WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped
    AND (CAST(:columns AS text[]) = '{}' OR a.attname = ANY (CAST(:columns AS text[])))
    AND NOT has_column_privilege(a.attrelid, a.attnum, :privilege)
ORDER BY a.attnum
""")
NO_DELETE = text(
    "SELECT NOT has_table_privilege(oid, 'DELETE') FROM pg_class WHERE oid = to_regclass(:table)"
)
# Without these no command works; a viewer has them too.
READER_RIGHTS = tuple(right for right in RIGHTS if right.role is Role.WORKER and right.verbs == "SELECT")


@dataclass(frozen=True)
class MissingRight:
    """A missing privilege in GRANT's words, such as `UPDATE (status, owner)`, and its table."""

    privilege: str
    table: str


@dataclass(frozen=True)
class Rights:
    """What the role (quoted for SQL) lacks; `changes`: it may change some column of an event."""

    role: str
    reader: list[MissingRight]
    worker: list[MissingRight]
    operator: list[MissingRight]
    changes: bool

    @property
    def no_worker(self) -> bool:
        """Whether it has the rights of an operator or a viewer, who do not deliver."""
        return not self.operator or not self.changes


def rights(connection: Connection) -> Rights:
    """Compare this role's rights with those of `outboxctl roles`; a missing table counts as complete."""
    reader = list(_missing(connection, READER_RIGHTS))
    worker, operator = (
        [lack for lack in _missing(connection, _rights_of(each)) if lack not in reader]
        for each in (Role.WORKER, Role.OPERATOR)
    )
    role = connection.execute(CURRENT_ROLE).scalar_one()
    return Rights(role, reader, worker, operator, bool(connection.execute(MAY_UPDATE).scalar_one()))


def _rights_of(role: Role) -> list[Right]:
    return [right for right in RIGHTS if right.role is role]


def _missing(connection: Connection, needed: Iterable[Right]) -> Iterator[MissingRight]:
    for right in needed:
        for verb in right.verbs.split(", "):
            if lacking := _missing_privilege(connection, verb, right):
                yield MissingRight(lacking, right.table)


def _missing_privilege(connection: Connection, verb: str, right: Right) -> str:
    """The missing privilege; empty where there is none."""
    values = {
        "table": places(connection).name(right.table),
        "privilege": verb,
        "columns": list(right.columns),
    }
    if verb == "DELETE":  # it has no columns
        return verb if connection.execute(NO_DELETE, values).scalar() else ""
    names = connection.execute(MISSING_COLUMNS, values).scalars().all()
    return (f"{verb} ({', '.join(names)})" if right.columns else verb) if names else ""
