"""The search path of our transactions: no function or operator of another role hides PostgreSQL's own.

PostgreSQL prefers an exact match in a later schema to an inexact one in an earlier schema ("Operator Type
Resolution" and "Function Type Resolution" in its manual). So `pg_catalog` first is not enough: a schema in
which others may create objects is not searched at all, and our tables are named with their schema.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial

from psycopg.sql import Identifier

from outboxctl.core.schema.names import ALL_TABLES, EVENTS, SOURCE, TRIGGER_FUNCTIONS
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import exchange, state
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

KEY = "outboxctl.places"  # in the `info` of a connection
# A name by itself: not quoted, not part of a longer one, not qualified; of literals only those that become a
# regclass.
TABLE_NAMES = "|".join(ALL_TABLES)
FUNCTIONS = "|".join(TRIGGER_FUNCTIONS)
NAME = re.compile(
    rf"(?<![\w.\"$'])({TABLE_NAMES})(?![\w\"$'])"
    rf"|(?<![\w.\"$'])({FUNCTIONS})(?=\(\))"
    rf"|'({TABLE_NAMES})'(?=::regclass| AS (?:pg_catalog\.)?regclass)|(?<=to_regclass\()'({TABLE_NAMES})'"
)
LITERALS = ", ".join(f"'{name}'" for name in ALL_TABLES)
MAIN_TABLES = f"relname IN ('{EVENTS}', '{SOURCE}')"
# Roles that have full control of the worker's sessions anyway. PUBLIC has the OID 0.
TRUSTED = f"""
SELECT r.oid FROM pg_roles r, pg_database d
WHERE d.datname = current_database() AND (r.rolsuper OR r.oid = d.datdba OR r.rolname = 'pg_database_owner'
    OR r.rolname IN (current_user, session_user) OR r.oid IN (SELECT relowner FROM tables WHERE {MAIN_TABLES})
    OR r.oid IN (SELECT nspowner FROM path WHERE name IN (SELECT schema FROM tables WHERE {MAIN_TABLES})))
"""
# `path`: the schemas that the login searches; `tables`: our tables, each in the first of these schemas that
# has it; `unpinned`: functions that run on our tables without a search path of their own.
FACTS = f"""
path AS (
    SELECT s.name, s.place, n.oid, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner)) AS acl
    FROM unnest(CAST(current_setting('outboxctl.schemas') AS name[])) WITH ORDINALITY s (name, place)
    JOIN pg_namespace n ON n.nspname = s.name WHERE n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_temp_'
), tables AS (
    SELECT DISTINCT ON (c.relname) c.oid, c.relname, c.relowner, p.name AS schema
    FROM path p JOIN pg_class c ON c.relnamespace = p.oid
    WHERE c.relname IN ({LITERALS}) ORDER BY c.relname, p.place
), trusted AS ({TRUSTED}), open AS (
    SELECT p.name, p.place, a.grantee FROM path p, aclexplode(p.acl) a
    WHERE a.privilege_type = 'CREATE' AND a.grantee NOT IN (SELECT oid FROM trusted)
), parts AS (
    SELECT oid FROM tables UNION SELECT relid FROM tables, pg_partition_tree(CAST(tables.oid AS regclass))
), code AS (
    SELECT 'pg_trigger'::regclass::oid AS class, oid FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint
        WHERE conrelid IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM parts)
    UNION ALL SELECT 'pg_event_trigger'::regclass, oid FROM pg_event_trigger
), unpinned AS (
    SELECT DISTINCT p.oid, code.class FROM code
    JOIN pg_depend d ON d.classid = code.class AND d.objid = code.oid AND d.refclassid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.refobjid JOIN pg_language l ON l.oid = p.prolang
    WHERE l.lanname NOT IN ('internal', 'c')
        AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%')
)"""
# Until the path is set, everything is called by its full name. One message, in a transaction of its own: the
# caller's may have to begin with SET TRANSACTION.
READ_FACTS = f"""
BEGIN;
SELECT pg_catalog.set_config('outboxctl.schemas', pg_catalog.current_schemas(false)::pg_catalog.text, true);
SET LOCAL search_path = pg_catalog, pg_temp;
WITH {FACTS}
SELECT 'table' AS kind, relname::text AS name, schema::text FROM tables
UNION ALL SELECT 'foreign', format('%I.%I', schema, relname), pg_get_userbyid(relowner) FROM tables
    WHERE NOT {MAIN_TABLES} AND relowner NOT IN (SELECT oid FROM trusted)
UNION ALL (SELECT 'schema', '', name::text FROM path ORDER BY place)
UNION ALL (SELECT 'code', '', name::text FROM path WHERE name NOT IN (SELECT name FROM open)
    AND EXISTS (SELECT FROM unpinned) ORDER BY place);
COMMIT; BEGIN; """


class Places:
    """The schemas that a login searches, and the schema of each table.

    A missing table will be made in the first of the `schemas`. `searched`: the schemas that the application's
    code on our tables (triggers, defaults) may need and in which no other role creates objects. `render`: a
    statement with our tables qualified, remembered.
    """

    def __init__(self, schemas: Sequence[str], tables: Mapping[str, str], searched: Sequence[str]) -> None:
        self.schemas, self.tables, self.searched = schemas, tables, searched
        self.render = lru_cache(512)(partial(NAME.sub, self._qualified))

    def schema(self, table: str) -> str | None:
        """The schema of one of our tables; None where the login searches none."""
        return self.tables.get(table) or next(iter(self.schemas), None)

    def name(self, table: str, *, beside: str = "") -> str:
        """The table's qualified name for SQL; of an unknown table in the schema of `beside`."""
        schema = self.tables.get(table) or self.schema(beside)
        return f"{quoted(schema)}.{table}" if schema else table

    def _qualified(self, match: re.Match[str]) -> str:
        if match[2]:
            return self.name(match[2], beside=EVENTS).replace("%", "%%")
        name = self.name(str(match[match.lastindex or 0])).replace("%", "%%")
        return name if match[1] else f"""'{name.replace("'", "''")}'"""


UNKNOWN = Places((), {}, ())  # of a connection that has not looked yet


def quoted(name: str) -> str:
    """An identifier for SQL."""
    return Identifier(name).as_string()


def set_search_path(searched: Iterable[str] = ()) -> str:
    """`SET LOCAL search_path`: PostgreSQL's own names, then these schemas, temporary tables last."""
    return f"SET LOCAL search_path = {', '.join(['pg_catalog', *map(quoted, searched), 'pg_temp'])}"


def pin(connection: Connection, limits: str) -> None:
    """Begin a transaction with `limits` and the search path: by the message of its first statement.

    The first transaction of a connection begins now, and looks for our tables.
    """
    known = state(connection)
    new = KEY not in connection.info
    if new:
        _read_places(connection, limits)
    path = set_search_path(places(connection).searched)
    known.whole = "; ".join(filter(None, ("BEGIN", limits, path)))
    known.opening = "" if new else known.whole


def places(connection: Connection) -> Places:
    """The schemas and tables of this connection's login."""
    found: Places = connection.info.get(KEY, UNKNOWN)
    return found


def _read_places(connection: Connection, limits: str) -> None:
    message = "; ".join(filter(None, (limits, set_search_path())))
    _, (rows, _) = exchange(connection, READ_FACTS + message)
    _refuse_foreign_owners([(name, owner) for kind, name, owner in rows if kind == "foreign"])
    tables = {name: schema for kind, name, schema in rows if kind == "table"}
    schemas, searched = (tuple(s for kind, _, s in rows if kind == each) for each in ("schema", "code"))
    connection.info[KEY] = Places(schemas, tables, searched)
    if searched:
        exchange(connection, set_search_path(searched))


def _refuse_foreign_owners(foreign: list[tuple[str, str]]) -> None:
    """A view or trigger of an untrusted role runs its functions with the rights of this session."""
    for name, owner in foreign:
        raise UsageError(
            f"{brief(name, 140)} belongs to the role {brief(owner, 70)}, not to the owner of {EVENTS}",
            hint=f"if you trust it: ALTER TABLE {brief(name, 140)} OWNER TO …; otherwise drop it",
        )
