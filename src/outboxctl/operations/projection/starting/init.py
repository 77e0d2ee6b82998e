"""Starting declarations: made, and tried as `projection plan` reads them, before anything is printed."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from outboxctl.core.projections import indexes
from outboxctl.core.projections.catalog import LONGEST_WITH_QUERY
from outboxctl.core.projections.tree import NestedRows
from outboxctl.core.projections.tree_sql import Writer
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.operations.projection import declaration
from outboxctl.operations.projection.proof import UnprovenError
from outboxctl.operations.projection.resolved import resolve
from outboxctl.operations.projection.starting.tables import Builder
from outboxctl.operations.projection.starting.text import HEAD, Start, properties

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

NO_KEY = (
    "give it a PRIMARY KEY, or write the file by hand with a unique constraint whose columns are NOT NULL"
)
NESTED = (
    'An array in the mapping is of "type": "nested" if a search must find fields of one and the same element.'
)


def of_tables(connection: "Connection", tables: Sequence[str]) -> Start:
    """The start for these tables, the root first, after which it is named.

    Raises UsageError where a table, its key or a foreign key is not there, and for what `plan` would refuse.
    """
    builder, writer = Builder(connection), Writer(connection, empty=True)
    root = builder.tree(tables)
    key = indexes.primary_key(connection, root.table)
    if not key:
        raise UsageError(f"TABLE: {brief(str(root.table), 200)} has no primary key", hint=NO_KEY)
    named = [*root.tables()]
    notes = [HEAD, *([NESTED] if any(child.many for child in root.children) else [])]
    notes += [f"Left out: {each}" for each in builder.left_out]
    if near := builder.near([root.table, *named]):
        notes.append(f"Foreign keys tie these, too; name what a search needs: {' '.join(near)}")
    name = valid_name(root.table.name)
    index, query = name.lstrip("_"), writer.select(root)
    start = Start(name, writer.relation(root.table), key, index, query, _body(root), notes=notes)
    return checked(connection, start)


def _body(root: NestedRows) -> dict[str, Any]:
    """The fields of what is nested; those of the columns are derived wherever the file is read."""
    nested = {child.label for child in root.children}
    found = {name: each for name, each in properties(root).items() if name in nested}
    return {"mappings": {"properties": found}} if found else {}


def valid_name(wanted: str) -> str:
    """A projection's name that is as near to the wanted one as it can be."""
    made = re.sub(r"[^a-z0-9_]+", "_", wanted.lower())[:LONGEST_WITH_QUERY]
    return made if made.strip("_") else "documents"


def checked(connection: "Connection", start: Start) -> Start:
    """The start, which `plan` accepts: a change of a table that its joins do not prove reaches everything.

    Raises UsageError with the reason where `plan` does not accept it.
    """
    try:
        _try(connection, start)
    except UnprovenError as error:
        writer = Writer(connection, empty=True)
        follow = [{"table": writer.relation(each), "all": True} for each in error.tables]
        start = replace(start, follow=[*start.follow, *follow])
        _try(connection, start)
    return start


def _try(connection: "Connection", start: Start) -> None:
    (declared,) = declaration.parsed(FilePath(start.name), start.toml())
    with undone(connection):
        resolve(connection, declared, schema="public")
