"""The text of a view and of all views that it reads, and of the tables beneath what their joins depend on.

As `pg_get_viewdef` writes it in a pinned session: the same whoever asks, each table with its schema.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from outboxctl.core.projections import indexes
from outboxctl.core.projections.catalog import of
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
        views = {Relation(*row[:2]): str(row[2]) for row in connection.execute(TEXTS, of(view))}
    columns = {table: _columns(connection, table) for table in tables}
    return ViewTexts(views, columns, frozenset(connection.execute(AGGREGATES).scalars()))


def _columns(connection: Connection, table: Relation) -> TableColumns:
    types = {each.name: _type(each) for each in fields(connection, table)}
    return TableColumns(types, indexes.unique(connection, table))


def _type(column: Field) -> str:
    """The type; of a collation in which different texts are equal not that of any other column."""
    loose = "" if column.deterministic else f" {column.name}"
    return f"{column.type}{'[]' if column.listed else ''}{loose}"
