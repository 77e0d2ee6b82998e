"""The search path of our transactions: no function or operator of another role is used for PostgreSQL's.

PostgreSQL prefers an exact match in a later schema to an inexact one in an earlier schema ("Operator Type
Resolution" and "Function Type Resolution" in its manual). So `pg_catalog` first is not enough: a schema in
which others may create objects is not searched at all, and our tables are named with their schema.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from psycopg.sql import Identifier
from sqlalchemy import Connection

from outboxctl.core.schema.names import EVENTS, SOURCE, TABLES, VERSION
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

KEY = "outboxctl.places"  # in the `info` of a pooled connection
NAMES = (*TABLES, VERSION)
# A name by itself: not quoted, not part of a longer one, not qualified already; of literals only those that
# become a regclass.
EACH = "|".join(NAMES)
# Functions of migrations, each the body of the trigger of its name: a trigger's name takes no schema.
FUNCTIONS = "outbox_audit_by_database|outbox_event_begins|outbox_workers_own"
NAME = re.compile(
    rf"(?<![\w.\"$'])({EACH})(?![\w\"$'])"
    rf"|(?<![\w.\"$'])({FUNCTIONS})(?=\(\))"
    rf"|'({EACH})'(?=::regclass| AS (?:pg_catalog\.)?regclass)|(?<=to_regclass\()'({EACH})'"
)
# Roles that could do as they like with the worker's sessions anyway. PUBLIC has the OID 0.
LITERALS = ", ".join(f"'{name}'" for name in NAMES)
BOTH = f"relname IN ('{EVENTS}', '{SOURCE}')"
TRUSTED = f"""
SELECT r.oid FROM pg_roles r, pg_database d
WHERE d.datname = current_database() AND (r.rolsuper OR r.oid = d.datdba OR r.rolname = 'pg_database_owner'
    OR r.rolname IN (current_user, session_user) OR r.oid IN (SELECT relowner FROM ours WHERE {BOTH})
    OR r.oid IN (SELECT nspowner FROM path WHERE name IN (SELECT schema FROM ours WHERE {BOTH})))
"""
# `path`: the schemas that the login searches; `ours`: our tables, each in the first of them that has it.
FOUND = f"""
path AS (
    SELECT s.name, s.place, n.oid, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner)) AS acl
    FROM unnest(CAST(current_setting('outboxctl.schemas') AS name[])) WITH ORDINALITY s (name, place)
    JOIN pg_namespace n ON n.nspname = s.name WHERE n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_temp_'
), ours AS (
    SELECT DISTINCT ON (c.relname) c.oid, c.relname, c.relowner, p.name AS schema
    FROM path p JOIN pg_class c ON c.relnamespace = p.oid
    WHERE c.relname IN ({LITERALS}) ORDER BY c.relname, p.place
), trusted AS ({TRUSTED}), open AS (
    SELECT p.name, p.place, a.grantee FROM path p, aclexplode(p.acl) a
    WHERE a.privilege_type = 'CREATE' AND a.grantee NOT IN (SELECT oid FROM trusted)
), parts AS (
    SELECT oid FROM ours UNION SELECT relid FROM ours, pg_partition_tree(CAST(ours.oid AS regclass))
), code AS (
    SELECT 'pg_trigger'::regclass::oid AS class, oid FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint
        WHERE conrelid IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_event_trigger'::regclass, oid FROM pg_event_trigger
), loose AS (
    SELECT DISTINCT p.oid, code.class FROM code
    JOIN pg_depend d ON d.classid = code.class AND d.objid = code.oid AND d.refclassid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.refobjid JOIN pg_language l ON l.oid = p.prolang
    WHERE l.lanname NOT IN ('internal', 'c')
        AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%%')
)"""
# Before the path is pinned, nothing is called but by its full name. One message, and no transaction of
# the caller's: his may have to begin with SET TRANSACTION.
LEARN = f"""
SELECT pg_catalog.set_config('outboxctl.schemas', pg_catalog.current_schemas(false)::pg_catalog.text, true);
SET LOCAL search_path = pg_catalog, pg_temp;
WITH {FOUND}
SELECT 'table' AS kind, relname::text AS name, schema::text FROM ours
UNION ALL SELECT 'foreign', format('%%I.%%I', schema, relname), pg_get_userbyid(relowner) FROM ours
    WHERE NOT {BOTH} AND relowner NOT IN (SELECT oid FROM trusted)
UNION ALL (SELECT 'schema', '', name::text FROM path ORDER BY place)
UNION ALL (SELECT 'code', '', name::text FROM path WHERE name NOT IN (SELECT name FROM open)
    AND EXISTS (SELECT FROM loose) ORDER BY place);
COMMIT; BEGIN; """
ANSWER = 2  # results before the one with rows


@dataclass(frozen=True, eq=False)
class Places:
    """Where things are for a login: its schemas, the schema of each table, and what else is searched.

    A table that is not there yet will be made in the first of the `schemas`. `searched`: those that the
    application's own code on our tables (triggers, defaults) may need, if nobody else creates objects there.
    """

    schemas: tuple[str, ...] = ()
    tables: dict[str, str] = field(default_factory=dict)
    searched: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "render", lru_cache(512)(self._render))

    def schema(self, table: str) -> str | None:
        """The schema of one of our tables; None where the login has none."""
        return self.tables.get(table) or next(iter(self.schemas), None)

    def name(self, table: str, *, beside: str = "") -> str:
        """The table's name with its schema's, quoted for SQL; one that is unknown lies `beside` another."""
        schema = self.tables.get(table) or self.schema(beside)
        return f"{quoted(schema)}.{table}" if schema else table

    def opening(self) -> str:
        """The statement that pins a transaction's search path."""
        return opening(self.searched)

    def _render(self, statement: str) -> str:
        return NAME.sub(self._named, statement)

    def _named(self, found: re.Match[str]) -> str:
        if found[2]:
            return self.name(found[2], beside=EVENTS).replace("%", "%%")
        name = self.name(str(found[found.lastindex or 0])).replace("%", "%%")
        return name if found[1] else f"""'{name.replace("'", "''")}'"""


def opening(searched: Iterable[str] = ()) -> str:
    """`SET LOCAL search_path`: PostgreSQL's own names, then these schemas, temporary tables last."""
    return f"SET LOCAL search_path = {', '.join(['pg_catalog', *map(quoted, searched), 'pg_temp'])}"


def pin(connection: Connection, limits: str) -> None:
    """Begin a transaction: one message with `limits` and the search path, whatever else it has to say."""
    places = connection.info.get(KEY)
    if places is None:
        _learn(connection, limits)
    else:
        said = "; ".join(filter(None, (limits, places.opening())))
        connection.exec_driver_sql(said.replace("%", "%%"))


def places(connection: Connection) -> Places:
    """What this connection knows of its login."""
    known: Places = connection.info.get(KEY) or Places()
    return known


def qualified(
    connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    """Name our tables with their schema, in each statement (an engine's `before_cursor_execute`)."""
    known = connection.info.get(KEY)
    return (known.render(statement) if known else statement), parameters


def _learn(connection: Connection, limits: str) -> None:
    said = "; ".join(filter(None, (limits, opening())))
    result = connection.exec_driver_sql(LEARN + said)
    cursor: Any = result.cursor
    for _ in range(ANSWER):
        cursor.nextset()
    rows = cursor.fetchall()
    result.close()
    _refuse_foreign_owners([(name, owner) for kind, name, owner in rows if kind == "foreign"])
    tables = {name: schema for kind, name, schema in rows if kind == "table"}
    schemas, searched = (tuple(s for kind, _, s in rows if kind == each) for each in ("schema", "code"))
    connection.info[KEY] = found = Places(schemas, tables, searched)
    if found.searched:
        connection.exec_driver_sql(found.opening().replace("%", "%%"))


def _refuse_foreign_owners(foreign: list[tuple[str, str]]) -> None:
    """A view or trigger of an untrusted role would run its functions with the rights of this session."""
    for name, owner in foreign:
        raise UsageError(
            f"{brief(name, 140)} belongs to the role {brief(owner, 70)}, not to the owner of {EVENTS}",
            hint=f"if you trust what it is: ALTER TABLE {brief(name, 140)} OWNER TO …; otherwise drop it",
        )


def quoted(name: str) -> str:
    """An identifier for SQL."""
    return Identifier(name).as_string()
