"""What PostgreSQL's catalog says about the tables and views that a declaration names.

Facts of one relation; `fields` has its columns, `dependencies` says what a view reads, `tree` how tables are
tied, `indexes` how rows are found.
"""

from collections.abc import Collection
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, NamedTuple

from psycopg.errors import InvalidParameterValue
from sqlalchemy.exc import DBAPIError

from outboxctl.core.message import PlannedOnce, send
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, TextClause, text
from outboxctl.core.sql.kept import kept
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Relation

MAX_NAME = 63  # bytes of a name in PostgreSQL
PREFIX = "outbox_document_"
LONGEST_WITH_QUERY = MAX_NAME - len(PREFIX)


class Kind(StrEnum):
    """What can be read, by `pg_class.relkind`."""

    TABLE = "r"
    PARTITIONED = "p"
    VIEW = "v"
    MATERIALIZED_VIEW = "m"
    FOREIGN_TABLE = "f"


TABLES = (Kind.TABLE, Kind.PARTITIONED)  # that can have triggers
WORDS = {
    Kind.TABLE: "a table",
    Kind.PARTITIONED: "a table",
    Kind.VIEW: "a view: it has no triggers",
    Kind.MATERIALIZED_VIEW: "a materialized view: its refresh fires no trigger",
    Kind.FOREIGN_TABLE: "a foreign table: changes elsewhere fire no trigger",
}
OF = (
    "c.relname = CAST(:name AS text) AND n.nspname = CAST(:schema AS text)"  # text: a name would be truncated
)
OF_TYPES = {"name": "text", "schema": "text", "columns": "text[]"}
RELATION = f"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND {OF}"
PARTS = text("SELECT parse_ident(:name)")
# Tables and views of a schema with their columns and indexes, types and owners; without the schema's name.
SHAPES = text("""
SELECT n.nspname::text, md5(replace(string_agg(concat_ws(' ', c.relname, c.relkind, c.relispartition,
    c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relacl, pg_get_viewdef(c.oid), (
        SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attgenerated, a.attcollation), ', ' ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ), (
        SELECT string_agg(concat_ws(' ', i.indisvalid, pg_get_indexdef(i.indexrelid)), ', '
            ORDER BY x.relname)
        FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid
    )), '; ' ORDER BY c.relname), quote_ident(n.nspname), '')) || n.nspowner || coalesce(n.nspacl::text, '')
FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
WHERE n.nspname = ANY (CAST(:schemas AS text[])) GROUP BY n.oid
""")
# Rows of a partition arrive by its parent, too, for which no trigger of a statement on the partition fires.
FACTS = text(f"""
SELECT c.relkind::text, c.oid::bigint, c.relkind = 'p' OR c.relispartition,
    EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)
FROM {RELATION}
""")
# Also where it was never analyzed; of a partitioned table that of its partitions.
PAGES = text(f"""
SELECT coalesce(sum(pg_relation_size(p.oid)) / current_setting('block_size')::int, 0)::bigint
FROM {RELATION}, pg_class p
WHERE p.oid = c.oid OR p.oid IN (SELECT relid FROM pg_partition_tree(c.oid::regclass))
""")
# As SQL has their names.
ALL = text("""
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1 LIMIT 10000
""")
SCHEMAS = text(f"""
SELECT nspname::text, rolsuper OR rolname = session_user
    OR nspowner = (SELECT relowner FROM pg_class WHERE oid = to_regclass('{EVENTS}'))
FROM pg_namespace n JOIN pg_roles r ON r.oid = nspowner WHERE nspname !~ '^pg_' ORDER BY 1
""")
NAMED = "tables, functions and types of yours are named with their schema, for example SCHEMA.{name}"
SHOWN = 3  # tables of a near name


def database(connection: Connection) -> str:
    """The name of the database."""
    return str(connection.execute(text("SELECT current_database()")).scalar_one())


def schemas(connection: Connection) -> dict[str, bool]:
    """Return whether each schema belongs to the outbox's owner, a superuser or this session's login.

    PostgreSQL's own schemas are left out.
    """
    found = connection.execute(SCHEMAS)
    return {name: trusted for name, trusted in found if name != "information_schema"}


def shapes(connection: Connection, schemas: Collection[str]) -> dict[str, str]:
    """What is in these schemas, as a text that is the same where their tables are."""
    rows = connection.execute(SHAPES, {"schemas": [*schemas]})
    return {row[0]: row[1] for row in rows}


def resolve(connection: Connection, name: str) -> Relation | None:
    """The relation of a name as SQL has it; without a schema that of `public`. None where there is none.

    A name without quotes is in small letters. Raises ValueError for a text that is no name.
    """
    try:
        with connection.begin_nested():
            parts = connection.execute(PARTS, {"name": name}).scalar_one()
    except DBAPIError as error:
        if not isinstance(error.orig, InvalidParameterValue):
            raise
        parts = ()
    if len(parts) not in (1, 2):
        raise ValueError(f"not the name of a table or view: {name[:200]!r}")
    relation = Relation(*parts) if len(parts) > 1 else Relation("public", *parts)
    return relation if kind(connection, relation) else None


class Facts(NamedTuple):
    """Of a relation; `row_level`: a partitioned table or a partition, `inherited`: tables inherit from it."""

    kind: str
    oid: int
    row_level: bool
    inherited: bool


@kept
def _facts(connection: Connection, relation: Relation) -> Facts | None:
    rows = look_up(connection, FACTS, relation)
    return Facts(*rows[0]) if rows else None


def kind(connection: Connection, relation: Relation) -> Kind | None:
    """What the relation is; None where there is none that can be read."""
    found = _facts(connection, relation)
    return Kind(found.kind) if found and found.kind in {*Kind} else None


def oid_of(connection: Connection, relation: Relation) -> int | None:
    """Its oid; None where it is not there."""
    return found.oid if (found := _facts(connection, relation)) else None


def row_level(connection: Connection, tables: Collection[Relation]) -> set[Relation]:
    """Those of the tables that need a trigger for each row: they are partitioned, or a partition."""
    return {table for table in tables if (found := _facts(connection, table)) and found.row_level}


def is_inherited(connection: Connection, table: Relation) -> bool:
    """Whether tables inherit from it."""
    return bool((found := _facts(connection, table)) and found.inherited)


def pages(connection: Connection, relation: Relation) -> int:
    """How many pages of the server's block size, 8 kB in general, its rows take."""
    return int(connection.execute(PAGES, of(relation)).scalar_one())


def look_up(
    connection: Connection, statement: TextClause, relation: Relation, columns: Collection[str] | None = None
) -> list[Any]:
    """The rows of a statement of the catalog about a relation, or its `columns`: the session plans it once.

    To plan one takes several times what its execution does, and there are dozens for each projection.
    """
    values = of(relation) | ({} if columns is None else {"columns": [*columns]})
    types = {name: OF_TYPES[name] for name in values}
    return send(connection, PlannedOnce(statement, values, types))[-1].rows


def of(relation: Relation) -> dict[str, Any]:
    """The parameters of a statement with RELATION."""
    return {"schema": relation.schema, "name": relation.name}


def table_hint(connection: Connection, name: str) -> str:
    """Tables that were meant, else `schema_hint`: what has a schema that is there is in no other one.

    Else they are those of the same name in any schema, or the one of the nearest name.
    """
    known = {str(each).replace('"', ""): str(each) for each in connection.execute(ALL).scalars()}
    wanted = name.replace('"', "")
    schema, _, own = wanted.rpartition(".")
    if schema in {each.replace('"', "") for each in schemas(connection)}:
        beside = {each.rpartition(".")[2]: known[each] for each in known if each.rpartition(".")[0] == schema}
        near = [beside[each] for each in get_close_matches(own, beside, n=1)]
    else:
        same = [known[each] for each in known if each.rpartition(".")[2] == own]
        near = same[:SHOWN] or [known[each] for each in get_close_matches(wanted, known, n=1)]
    return f"did you mean {brief(' or '.join(near), 300)}?" if near else schema_hint(name)


def schema_hint(name: str) -> str:
    """How a table, function or type is named; empty for a name that has its schema."""
    return "" if "." in name else NAMED.format(name=brief(name, 140))


def view_name(projection: str) -> str:
    """The name of the view that is made of a `query`."""
    return f"{PREFIX}{projection}"


def is_own_view(projection: str, document: Relation, schema: str) -> bool:
    """Whether a document is the view that we made."""
    return document == Relation(schema, view_name(projection))
