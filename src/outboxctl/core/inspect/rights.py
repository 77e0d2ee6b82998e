"""Rights and search paths: what this role lacks, what others may change, functions without a path."""

from dataclasses import dataclass

from outboxctl.core.inspect.missing_rights import MissingRight, RoleGroup, groups, missing, rights_of
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.schema.notify import NAME
from outboxctl.core.schema.roles import NEW_EVENT, RIGHTS, SCHEMA, Role
from outboxctl.core.search_path import FACTS, places
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.places import quoted

CURRENT_ROLE = text("SELECT current_user, quote_ident(current_user)")
MAY_UPDATE = text(f"""
SELECT coalesce(has_any_column_privilege(to_regclass('{EVENTS}')::oid, 'UPDATE'), false)
""")
# Grants to others than the owner, as in the catalog: 0 is PUBLIC. A right to the table is one to each column.
GRANTED = f"""
WITH outbox AS (SELECT oid, relowner, relacl FROM pg_class WHERE oid = to_regclass('{EVENTS}')),
granted AS (
    SELECT g.grantee, g.privilege_type AS verb, NULL AS col FROM outbox, aclexplode(relacl) g
    UNION ALL
    SELECT g.grantee, g.privilege_type, a.attname::text FROM outbox
    JOIN pg_attribute a ON a.attrelid = outbox.oid AND NOT a.attisdropped, aclexplode(a.attacl) g
), theirs AS (
    SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee, verb, col
    FROM granted WHERE grantee NOT IN (SELECT relowner FROM outbox)
)"""
WIDE_GRANTS = text(f"""{GRANTED}
SELECT grantee, array_agg(DISTINCT quote_ident(col)) FILTER (WHERE col IS NOT NULL) FROM theirs t
WHERE verb = 'INSERT' AND (col IS NULL OR col <> ALL (CAST(:born AS text[])))
    AND NOT EXISTS (SELECT FROM theirs WHERE grantee = t.grantee AND verb = 'UPDATE' AND col IS NULL)
GROUP BY 1 ORDER BY 1
""")
RECREATING = text(f"""{GRANTED}
SELECT DISTINCT grantee FROM theirs t WHERE verb = 'INSERT' AND col = 'id'
    AND EXISTS (SELECT FROM theirs WHERE grantee = t.grantee AND verb = 'DELETE') ORDER BY 1
""")
# Without these no command works; a viewer has them too.
READER_RIGHTS = tuple(right for right in RIGHTS if right.role is Role.WORKER and right.verbs == "SELECT")


@dataclass(frozen=True)
class WideGrant:
    """A role (quoted for SQL) that may insert more columns than a producer; `columns` is empty for all."""

    grantee: str
    columns: list[str]


@dataclass(frozen=True)
class Rights:
    """What the role (quoted for SQL) lacks as reader, worker and operator; the `groups` of `db roles` here.

    `schema`: where the outbox is. `changes`: it may change some column of an event. Of all roles: `wide` may
    insert columns that no producer needs, without the right to UPDATE all; `recreates` may delete an event
    and insert another with its id.
    """

    role: str
    reader: list[MissingRight]
    worker: list[MissingRight]
    operator: list[MissingRight]
    changes: bool
    wide: list[WideGrant]
    recreates: list[str]
    groups: list[RoleGroup]
    schema: str

    @property
    def no_worker(self) -> bool:
        """Whether it has the rights of an operator or a viewer, who do not deliver."""
        return not self.operator or not self.changes


def rights(connection: Connection) -> Rights:
    """Compare this role's rights with those of `db roles`; a missing table counts as complete."""
    role, name = connection.execute(CURRENT_ROLE).one()
    reader = list(missing(connection, role, READER_RIGHTS))
    worker, operator = (
        [lack for lack in missing(connection, role, rights_of(each)) if lack not in reader]
        for each in (Role.WORKER, Role.OPERATOR)
    )
    changes = bool(connection.execute(MAY_UPDATE).scalar_one())
    rows = connection.execute(WIDE_GRANTS, {"born": ["id", *NEW_EVENT]})
    wide = [WideGrant(grantee, columns or []) for grantee, columns in rows]
    recreates = list(connection.execute(RECREATING).scalars())
    schema = places(connection).schema(EVENTS) or SCHEMA
    made = groups(connection)
    return Rights(name, reader, worker, operator, changes, wide, recreates, made, schema)


# What FOUND reads, as it was at the start: by now the search path is our own.
SCHEMAS = text("SELECT set_config('outboxctl.schemas', CAST(CAST(:schemas AS name[]) AS text), true)")
OPEN_SCHEMAS = text(f"""
WITH {FACTS}
SELECT quote_ident(name) AS schema, string_agg(
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, ', ' ORDER BY grantee
) AS roles FROM open GROUP BY name ORDER BY name
""")
# Recognised by names and bodies: a function has no other mark of what made it.
GENERATED = f"""
t.tgname = p.proname AND (p.proname = '{NAME}' OR right(p.proname, 7) = '_outbox' AND p.prosrc ~ '{EVENTS}')
"""
FUNCTIONS = text(f"""
WITH {FACTS}
SELECT DISTINCT p.oid::regprocedure::text AS name, p.proname = '{NAME}' AS notifies,
    quote_ident(pg_get_userbyid(p.proowner)) AS owner, quote_ident(pg_get_userbyid(c.relowner)) AS wanted,
    p.proowner <> c.relowner AND p.proowner NOT IN (SELECT oid FROM trusted) AS "foreign",
    NOT EXISTS (SELECT FROM unnest(p.proconfig) o WHERE starts_with(o, 'search_path=')) AS unpinned
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND {GENERATED} ORDER BY 1
""")
UNPINNED = text(f"""
WITH {FACTS}
SELECT oid::regprocedure::text FROM unpinned WHERE class <> 'pg_event_trigger'::regclass AND oid NOT IN (
    SELECT p.oid FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE {GENERATED})
ORDER BY 1
""")


@dataclass(frozen=True)
class OpenSchema:
    """A schema of the search path and the roles that may create objects in it; quoted for SQL."""

    schema: str
    roles: str


@dataclass(frozen=True)
class TriggerFunction:
    """A function that `db trigger` or `db notify` made (`notifies`); names are quoted for SQL.

    `foreign`: its `owner` is neither the table's (`wanted`) nor a trusted role. `unpinned`: it has no search
    path of its own.
    """

    name: str
    notifies: bool
    owner: str
    wanted: str
    foreign: bool
    unpinned: bool


@dataclass(frozen=True)
class SearchPathFacts:
    """`others`: the application's functions on our tables without a search path of their own.

    `searched`: the schemas that our sessions search for them, `home`: that of the outbox; quoted for SQL.
    """

    open: list[OpenSchema]
    functions: list[TriggerFunction]
    others: list[str]
    searched: list[str]
    home: str


def search_path_facts(connection: Connection) -> SearchPathFacts:
    """Read the facts; the catalog is readable for every role."""
    known = places(connection)
    connection.execute(SCHEMAS, {"schemas": list(known.schemas)})
    return SearchPathFacts(
        [OpenSchema(**row._asdict()) for row in connection.execute(OPEN_SCHEMAS)],
        [TriggerFunction(**row._asdict()) for row in connection.execute(FUNCTIONS)],
        list(connection.execute(UNPINNED).scalars()),
        [quoted(schema) for schema in known.searched],
        quoted(known.schema(EVENTS) or "public"),
    )
