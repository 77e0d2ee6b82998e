"""What a role lacks of the rights of `outboxctl roles`."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from outboxctl.core.schema.names import EVENTS, WORKERS
from outboxctl.core.schema.roles import RIGHTS, Right, Role
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text
from outboxctl.core.tables import SOURCE
from outboxctl.domain.errors import NotPermittedError

PREFIX = "outbox_"  # of the groups' names
AGAIN = "outboxctl roles --sql | psql -v ON_ERROR_STOP=1 service=owner  # as the owner of the tables"
CURRENT_ROLE = text("SELECT current_user")
# A member that does not inherit (NOINHERIT, from 16 on of the single membership) has no right of the group.
GROUPS = text("""
SELECT rolname, pg_has_role(CAST(:role AS name), oid, 'USAGE') AS inherits FROM pg_roles
WHERE pg_has_role(CAST(:role AS name), oid, 'MEMBER')
""")
QUOTED_MAY_UPDATE = text(f"""
SELECT quote_ident(:role),
    coalesce(has_any_column_privilege(CAST(:role AS name), to_regclass('{EVENTS}')::oid, 'UPDATE'), false),
    CAST(current_setting('server_version_num') AS int) >= 160000
""")
MAY = text("""
SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attname = :column
    AND has_column_privilege(attrelid, attnum, :privilege))
""")
LOGINS = text(f"""
SELECT DISTINCT rolname FROM {WORKERS} JOIN pg_roles ON rolname = login
WHERE login <> current_user AND heartbeat_at > now() - interval '1 day' LIMIT 10
""")
# By column, because a role may have rights to just the columns that it needs; DELETE has none.
MISSING = text("""
SELECT n.verb || CASE WHEN n.whole THEN ''
        ELSE ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')' END, n.called
FROM (SELECT coalesce(CAST(:role AS name), current_user) AS name) role,
    json_to_recordset(CAST(:needed AS json)) n
        (number int, called text, name text, verb text, whole boolean, columns text[])
    JOIN pg_attribute a ON a.attrelid = to_regclass(n.name) AND a.attnum > 0 AND NOT a.attisdropped
        AND (n.columns IS NULL OR a.attname = ANY (n.columns))
WHERE NOT CASE n.verb WHEN 'DELETE' THEN has_table_privilege(role.name, a.attrelid, n.verb)
    ELSE has_column_privilege(role.name, a.attrelid, a.attnum, n.verb) END
GROUP BY n.number, n.verb, n.whole, n.called ORDER BY n.number
""")
# The application's table: of its other columns no right is needed.
OWN_COLUMNS = {SOURCE.name: tuple(SOURCE.columns.keys())}
# Without these no command works; a viewer has them too.
OF = {role: tuple(right for right in RIGHTS if right.role is role) for role in Role}
READER_RIGHTS = tuple(right for right in OF[Role.WORKER] if right.verbs == "SELECT")


@dataclass(frozen=True)
class MissingRight:
    """A missing privilege in GRANT's words, such as `UPDATE (status, owner)`, and its table."""

    privilege: str
    table: str


@dataclass(frozen=True)
class Rights:
    """What the role (quoted for SQL) lacks; `changes`: it may change some column of an event.

    `groups`: those that it is a member of. `without`: of these, whose rights it does not inherit;
    `by_grant`: whether it inherits by each GRANT, as from PostgreSQL 16 on, or by its own attribute.
    `workers`: the same of workers' logins that lack something.
    """

    role: str
    reader: list[MissingRight]
    worker: list[MissingRight]
    operator: list[MissingRight]
    changes: bool
    by_grant: bool
    groups: frozenset[Role]
    without: frozenset[Role]
    workers: "Sequence[Rights]" = ()

    @property
    def no_worker(self) -> bool:
        """Whether it has the rights of an operator or a viewer, who do not deliver."""
        return not self.operator or not self.changes

    def lacks(self, lacking: Iterable[MissingRight]) -> str:
        """`role NAME lacks …`."""
        return f"role {self.role} lacks {', '.join(f'{each.privilege} on {each.table}' for each in lacking)}"

    def granting(self, role: Role) -> str:
        """Membership of a group: what a single login was granted outlives corrections of the groups.

        Of a member that has the group's rights it is the group that lacks something.
        """
        membership = f"GRANT {PREFIX}{role} TO {self.role}"
        if role in self.without:
            return f"{membership} WITH INHERIT TRUE" if self.by_grant else f"ALTER ROLE {self.role} INHERIT"
        return AGAIN if role in self.groups else membership


def may(connection: Connection, privilege: str, table: str, column: str) -> bool:
    """Whether this role has that privilege on a column of a table of ours; False where it is not there."""
    values = {"privilege": privilege, "name": places(connection).name(table), "column": column}
    return bool(connection.execute(MAY, values).scalar())


def require_worker(connection: Connection, name: str) -> None:
    """Raise NotPermittedError where this role cannot deliver; one statement where it can."""
    if _missing(connection, None, OF[Role.WORKER]):
        own = _rights(connection, connection.execute(CURRENT_ROLE).scalar_one())
        what = own.lacks([*own.reader, *own.worker])
        raise NotPermittedError(
            f"not permitted in {name}: no worker can deliver as this login, the {what}",
            hint=own.granting(Role.WORKER),
        )


def rights(connection: Connection) -> Rights:
    """Compare this role's rights with those of `outboxctl roles`; a missing table counts as complete."""
    own = _rights(connection, connection.execute(CURRENT_ROLE).scalar_one())
    seen = may(connection, "SELECT", WORKERS, "login")
    logins = connection.execute(LOGINS).scalars().all() if seen else []
    workers = [_rights(connection, login) for login in logins]
    return replace(own, workers=[each for each in workers if each.reader or each.worker])


def _rights(connection: Connection, name: str) -> Rights:
    reader = _missing(connection, name, READER_RIGHTS)
    worker, operator = (
        [each for each in _missing(connection, name, OF[role]) if each not in reader]
        for role in (Role.WORKER, Role.OPERATOR)
    )
    groups = {row.rolname: row.inherits for row in connection.execute(GROUPS, {"role": name})}
    shown, changes, by_grant = connection.execute(QUOTED_MAY_UPDATE, {"role": name}).one()
    member = frozenset(role for role in Role if PREFIX + role in groups)
    without = frozenset(role for role in member if not groups[PREFIX + role])
    return Rights(shown, reader, worker, operator, changes, by_grant, member, without)


def _missing(connection: Connection, role: str | None, needed: Iterable[Right]) -> list[MissingRight]:
    """Those of these rights that a role does not have; None: the session's own."""
    wanted = [(right, verb) for right in needed for verb in right.verbs.split(", ")]
    rows = [
        {
            "number": number,
            "called": right.table,
            "name": places(connection).name(right.table),
            "verb": verb,
            "whole": not right.columns,
            "columns": right.columns or OWN_COLUMNS.get(right.table),
        }
        for number, (right, verb) in enumerate(wanted)
    ]
    found = connection.execute(MISSING, {"role": role, "needed": json.dumps(rows)})
    return [MissingRight(*row) for row in found]
