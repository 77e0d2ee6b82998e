"""The text of a view and of all views that it reads, and of the tables beneath what their joins depend on.

As `pg_get_viewdef` writes it in a pinned session: the same whoever asks, each table with its schema.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from outboxctl.core.projections import dependencies, indexes
from outboxctl.core.projections.catalog import RELATION, look_up, of
from outboxctl.core.projections.dependencies import VIEWS
from outboxctl.core.projections.fields import Field, fields
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.projection import Relation

PINNED = (
    "SET LOCAL search_path = ''; SET LOCAL quote_all_identifiers = off; SET LOCAL TimeZone = 'UTC'; "
    "SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL bytea_output = 'hex'; "
    "SET LOCAL extra_float_digits = 1"
)
TEXTS = text(f"""
WITH RECURSIVE {VIEWS}
SELECT n.nspname::text, c.relname::text, pg_get_viewdef(c.oid) FROM views JOIN pg_class c USING (oid)
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v'
""")
# Of a view also what it reads from: views at any depth, and functions that no extension made.
DEFINITION = text(f"""
WITH RECURSIVE {VIEWS}
SELECT md5(concat(pg_get_viewdef(c.oid), (
    SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
), (
    SELECT string_agg(concat(v.oid::regclass, pg_get_viewdef(v.oid)), '; ' ORDER BY v.oid::regclass::text)
    FROM views JOIN pg_class v USING (oid) WHERE v.relkind IN ('v', 'm') AND v.oid <> c.oid
), (
    SELECT string_agg(DISTINCT pg_get_functiondef(p.oid), '; ' ORDER BY pg_get_functiondef(p.oid))
    FROM rules r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.refobjid AND p.prokind <> 'a'
    WHERE NOT EXISTS (SELECT FROM pg_depend e
        WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
)))
FROM {RELATION}
""")
AGGREGATES = text("SELECT DISTINCT proname::text FROM pg_proc WHERE prokind = 'a'")


@dataclass(frozen=True)
class TableColumns:
    """A table's columns in their order with the type of each, and the columns of its unique indexes."""

    types: Mapping[str, str]
    unique: Collection[frozenset[str]] = ()


@dataclass(frozen=True)
class ViewTexts:
    """Views by name with their SELECT, tables, and the names of all aggregate functions."""

    views: Mapping[Relation, str]
    tables: Mapping[Relation, TableColumns]
    aggregates: Collection[str] = field(default_factory=frozenset)


def read(connection: Connection, view: Relation, tables: Collection[Relation]) -> ViewTexts:
    """The texts of a view and those beneath it; `tables` are all that they read. A table has no text."""
    with undone(connection):
        connection.exec_driver_sql(PINNED)
        views = {Relation(*row[:2]): str(row[2]) for row in look_up(connection, TEXTS, view)}
    columns = {
        table: TableColumns(
            {each.name: _type(each) for each in fields(connection, table)},
            [frozenset(each.columns) for each in indexes.unique(connection, table)],
        )
        for table in tables
    }
    return ViewTexts(views, columns, frozenset(connection.execute(AGGREGATES).scalars()))


def _type(column: Field) -> str:
    """The type; of a collation in which different texts are equal not that of any other column."""
    loose = "" if column.deterministic else f" {column.name}"
    return f"{column.type}{'[]' if column.listed else ''}{loose}"


def definition(connection: Connection, relation: Relation) -> str:
    """A hash of a view's definition, with the views and functions that it uses, and of its columns.

    Also of the columns of tables whose rows it takes as a whole. Of a table that of its columns. Empty if it
    is not there. The same whatever the session has set.
    """
    columns = dependencies.used(connection, relation).items()
    whole = sorted((table for table, names in columns if not names and table != relation), key=str)
    with undone(connection):
        connection.exec_driver_sql(PINNED)
        found = [connection.execute(DEFINITION, of(each)).scalar() or "" for each in (relation, *whole)]
    return "-".join(found)
