"""The key of the documents of pgsync's schema file, the table that has it, and their routing."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from outboxctl.core.projections import catalog, dependencies, indexes
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.tree import NestedRows, Value
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting import init
from outboxctl.operations.projection.starting.pgsync_file import Json
from outboxctl.operations.projection.starting.pgsync_nodes import NodeReading, plain

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

RENAME = "its field of that name is the key: give the other one another name in a copy of the file"


def put(reading: NodeReading, place: Place, nodes: Json, root: NestedRows) -> tuple[str, ...]:
    """The key, whose columns are put into the document as they are."""
    key = reading.tables.key(place, nodes, root.table)
    if not key:
        place.fail(f"{root.table} has no primary key", init.NO_KEY)
    columns = {each.name: plain(each) for each in fields(reading.connection, root.table)}
    children = {each.label for each in root.children}
    for name in key:
        followed.check_column(place.at("primary_key"), name, root.table, list(columns))
        with reading.problems.noted():
            if name in children:
                place.at("children").fail(
                    f"{shown(name)} is the label of a child, and a column of the key", RENAME
                )
            if root.values.get(name, columns[name]) != columns[name]:
                what = f"{shown(name)}, a column of the key, would hold {_what(root.values[name])}"
                place.at("transform").fail(what, RENAME)
    missing = [name for name in key if name not in root.values]
    root.values = {name: columns[name] for name in missing} | root.values
    reading.notes += [f"Added to the document: {name}, which is its key" for name in missing]
    if len(key) > 1:
        reading.notes.append("The ids of documents join the key's columns by `:`; pgsync joins them by `|`")
    return key


def _what(value: Value) -> str:
    if value.joined:
        return "a joined text"
    return f"{shown(value.column)} with texts replaced" if value.replace else shown(value.column)


def routing(place: Place, name: str, root: NestedRows, key: tuple[str, ...]) -> str:
    """The routing, or the column of the key that it is a copy of: the key then determines the shard."""
    value = root.values.get(name)
    if name and value is None:
        followed.check_column(place, name, "the document", list(root.values))
    return next((column for column in key if value and root.values[column] == value), name)


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
