"""Schemas in which others may create objects, and functions that run when somebody writes to our tables."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from outboxctl.core.schema.names import EVENTS
from outboxctl.core.schema.notify import NAME
from outboxctl.core.search_path import FOUND, places, quoted

# What FOUND reads, as it was when the connection was made: by now the search path is our own.
SCHEMAS = text("SELECT set_config('outboxctl.schemas', CAST(CAST(:schemas AS name[]) AS text), true)")
OPEN = text(f"""
WITH {FOUND}
SELECT quote_ident(name) AS schema, string_agg(
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, ', ' ORDER BY grantee
) AS roles FROM open GROUP BY name ORDER BY name
""")
# By their names and bodies: nothing else says who made a function.
GENERATED = f"""
t.tgname = p.proname AND (p.proname = '{NAME}' OR right(p.proname, 7) = '_outbox' AND p.prosrc ~ '{EVENTS}')
"""
FUNCTIONS = text(f"""
WITH {FOUND}
SELECT DISTINCT p.oid::regprocedure::text AS name, p.proname = '{NAME}' AS notifies,
    quote_ident(pg_get_userbyid(p.proowner)) AS owner, quote_ident(pg_get_userbyid(c.relowner)) AS wanted,
    p.proowner <> c.relowner AND p.proowner NOT IN (SELECT oid FROM trusted) AS strange,
    NOT EXISTS (SELECT FROM unnest(p.proconfig) o WHERE starts_with(o, 'search_path=')) AS loose
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND {GENERATED} ORDER BY 1
""")
OTHERS = text(f"""
WITH {FOUND}
SELECT oid::regprocedure::text FROM loose WHERE class <> 'pg_event_trigger'::regclass AND oid NOT IN (
    SELECT p.oid FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE {GENERATED})
ORDER BY 1
""")


@dataclass(frozen=True)
class Open:
    """A schema of the search path, and the roles that may create objects there; quoted for SQL."""

    schema: str
    roles: str


@dataclass(frozen=True)
class Function:
    """A function that `db trigger` or `db notify` made (`notifies`); names are quoted for SQL.

    `strange`: its `owner` is neither the table's (`wanted`) nor one that could do everything anyway.
    `loose`: it has no search path of its own.
    """

    name: str
    notifies: bool
    owner: str
    wanted: str
    strange: bool
    loose: bool


@dataclass(frozen=True)
class Paths:
    """`others`: the application's functions on our tables that have no search path of their own.

    `searched`: what our sessions search for those, `home`: the schema of the outbox; quoted for SQL.
    """

    open: list[Open]
    functions: list[Function]
    others: list[str]
    searched: list[str]
    home: str


def paths(connection: Connection) -> Paths:
    """Read the facts; a role sees those of the whole catalog."""
    known = places(connection)
    connection.execute(SCHEMAS, {"schemas": list(known.schemas)})
    return Paths(
        [Open(**row._asdict()) for row in connection.execute(OPEN)],
        [Function(**row._asdict()) for row in connection.execute(FUNCTIONS)],
        list(connection.execute(OTHERS).scalars()),
        [quoted(schema) for schema in known.searched],
        quoted(known.schema(EVENTS) or "public"),
    )
