"""Views as nodes of pgsync's schema file: the table whose rows are the documents of a view."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from outboxctl.core.projections import catalog, dependencies, indexes
from outboxctl.core.projections.fields import fields
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place
from outboxctl.operations.projection.starting.pgsync_file import Json

if TYPE_CHECKING:
    from outboxctl.core.database import Connection


def base(
    connection: "Connection", place: Place, given: Json, table: Relation, key: Collection[str]
) -> Relation:
    """The root of a node: its table, or of a view the first of its `base_tables` that has the view's key.

    Raises UsageError where none has it. Whether the rows are really those of the key, `plan` proves.
    """
    if catalog.kind(connection, table) in followed.TABLES:
        return table
    read, here = dependencies.used(connection, table), place.at("base_tables")
    named = place.texts(given, "base_tables") if given.get("base_tables") else ()
    tables = [
        Relation(schema or table.schema, name) for schema, _, name in (n.rpartition(".") for n in named)
    ]
    if unread := [each for each in tables if each not in read]:
        here.fail(f"{table} does not read {unread[0]}", f"it reads {', '.join(sorted(map(str, read)))}")
    keyed = [each for each in tables or sorted(read, key=str) if _has_key(connection, each, key)]
    if not keyed:
        hint = "the documents' key must be a unique key, by the same names, of a table that the view reads"
        here.fail(f"no table of {table} has the key {', '.join(key)}", hint)
    return keyed[0]


def _has_key(connection: "Connection", table: Relation, key: Collection[str]) -> bool:
    columns = {each.name for each in fields(connection, table)}
    return columns >= {*key} and indexes.is_unique(connection, table, [*key])
