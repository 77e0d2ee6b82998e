"""What a role lacks of the rights in `db roles`, and the groups in this server that lack some."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outboxctl.core.schema.names import EVENTS
from outboxctl.core.schema.roles import RIGHTS, SCHEMA, Right, Role, command
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text

# By column, because a role may have rights to just the columns that it needs.
MISSING_COLUMNS = text("""
SELECT quote_ident(a.attname) FROM pg_attribute a
WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped
    AND (CAST(:columns AS text[]) = '{}' OR a.attname = ANY (CAST(:columns AS text[])))
    AND NOT has_column_privilege(CAST(:role AS name), a.attrelid, a.attnum, :privilege)
ORDER BY a.attnum
""")
NO_DELETE = text("""
SELECT NOT has_table_privilege(CAST(:role AS name), oid, 'DELETE') FROM pg_class
WHERE oid = to_regclass(:table)
""")
# Roles belong to the whole server and may have any prefix: those count that have a right to this outbox.
GROUPS = text(f"""
SELECT rolname, quote_ident(rolname), pg_has_role(oid, 'MEMBER') FROM pg_roles
WHERE NOT rolcanlogin AND rolname ~ '({"|".join(Role)})$' AND oid IN (
    SELECT a.grantee FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass('{EVENTS}')
    UNION ALL SELECT a.grantee FROM pg_attribute c, aclexplode(c.attacl) a
    WHERE c.attrelid = to_regclass('{EVENTS}'))
ORDER BY 1
""")


@dataclass(frozen=True)
class MissingRight:
    """A missing privilege in GRANT's words, such as `UPDATE (status, owner)`, and its table."""

    privilege: str
    table: str


@dataclass(frozen=True)
class RoleGroup:
    """A role that the SQL of `db roles` has made, as which `role`; `member`: this login belongs to it."""

    name: str
    quoted: str  # for SQL
    role: Role
    member: bool

    @property
    def prefix(self) -> str:
        """What `db roles --prefix` was."""
        return self.name.removesuffix(self.role)


@dataclass(frozen=True)
class GroupLack:
    """A right to one of our tables that `group` lacks; `privilege` as in MissingRight."""

    group: str
    privilege: str
    table: str


@dataclass(frozen=True)
class OutdatedGroups:
    """What groups of an older schema lack, and the `commands` that give it to them."""

    lacking: list[GroupLack]
    commands: list[str]


def missing(connection: Connection, role: str, needed: Iterable[Right]) -> Iterator[MissingRight]:
    """Those of the `needed` rights that the role of this name lacks; a missing table counts as complete."""
    for right in needed:
        for verb in right.verbs.split(", "):
            if lacking := _missing_privilege(connection, role, verb, right):
                yield MissingRight(lacking, right.table)


def rights_of(role: Role) -> list[Right]:
    """What this role may do."""
    return [right for right in RIGHTS if right.role is role]


def groups(connection: Connection) -> list[RoleGroup]:
    """The groups of `db roles` that have a right to this outbox; the catalog is readable for every role."""
    return [
        RoleGroup(name, quoted, role, member)
        for name, quoted, member in connection.execute(GROUPS)
        for role in Role
        if name.endswith(role)
    ]


def outdated_groups(connection: Connection) -> OutdatedGroups:
    """Compare the groups of this outbox with `db roles`: some 50 short queries, one where there are none."""
    schema = places(connection).schema(EVENTS) or SCHEMA
    lacking, commands = [], []
    for group in groups(connection):
        for lack in missing(connection, group.name, rights_of(group.role)):
            lacking.append(GroupLack(group.name, lack.privilege, lack.table))
            commands.append(command(group.prefix, schema))
    return OutdatedGroups(lacking, list(dict.fromkeys(commands)))


def _missing_privilege(connection: Connection, role: str, verb: str, right: Right) -> str:
    """The missing privilege; empty where there is none."""
    # A table that an upgrade has just made is not among those that the connection found when it was opened.
    table = places(connection).name(right.table, beside=EVENTS)
    values = {"role": role, "table": table, "privilege": verb, "columns": list(right.columns)}
    if verb == "DELETE":  # it has no columns
        return verb if connection.execute(NO_DELETE, values).scalar() else ""
    names = connection.execute(MISSING_COLUMNS, values).scalars().all()
    return (f"{verb} ({', '.join(names)})" if right.columns else verb) if names else ""
