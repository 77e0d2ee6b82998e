"""Starting declarations: made, and tried as `projection plan` reads them, before anything is printed."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from outboxctl.core.projections import indexes
from outboxctl.core.projections.catalog import LONGEST_WITH_QUERY
from outboxctl.core.projections.tree import MAX_NOTE_CHARACTERS, Writer
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief, plain_sql
from outboxctl.operations.projection import declaration
from outboxctl.operations.projection.place import quoted
from outboxctl.operations.projection.proof import UnprovenError
from outboxctl.operations.projection.resolved import resolve
from outboxctl.operations.projection.starting.tables import Builder

NO_KEY = (
    "give it a PRIMARY KEY, or write the file by hand with a unique constraint whose columns are NOT NULL"
)
NESTED = (
    'For a search of fields of one and the same element: mapping = \'{"mappings": {"properties": {"NAME": '
    '{"type": "nested"}}}}\'.'
)
HEAD = "Look through the columns: whatever the query names is in the index."


@dataclass(frozen=True)
class Start:
    """What a declaration begins with. `root` is a name as SQL has it, `follow` are tables of TOML."""

    name: str
    root: str
    key: tuple[str, ...]
    index: str
    query: str
    follow: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = field(default_factory=list)

    def toml(self) -> str:
        """The declaration."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from (f"# {brief(note, MAX_NOTE_CHARACTERS)}" for note in self.notes)
        yield f"[projections.{self.name}]"
        yield f"root = {quoted(self.root)}"
        yield f"key = {_texts(self.key)}"
        yield f"index = {quoted(self.index)}"
        yield f"query = {block(plain_sql(self.query))}"
        for follow in self.follow:
            yield f"\n[[projections.{self.name}.follow]]"
            for name, value in follow.items():
                yield f"{name} = {json.dumps(value)}"


def of_tables(connection: Connection, tables: Sequence[str]) -> Start:
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
    start = Start(name, writer.relation(root.table), key, index, query, notes=notes)
    return checked(connection, start)


def valid_name(wanted: str) -> str:
    """A projection's name that is as near to the wanted one as it can be."""
    made = re.sub(r"[^a-z0-9_]+", "_", wanted.lower())[:LONGEST_WITH_QUERY]
    return made if made.strip("_") else "documents"


def checked(connection: Connection, start: Start) -> Start:
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


def _try(connection: Connection, start: Start) -> None:
    (declared,) = declaration.parsed(FilePath(start.name), start.toml())
    with undone(connection):
        resolve(connection, declared, schema="public")


def block(text: str) -> str:
    """A TOML text in several lines, as it is if that is possible."""
    body = text.strip("\n")
    if "'''" not in body and not body.endswith("'"):
        return f"'''\n{body}\n'''"
    return quoted(f"{body}\n")


def _texts(texts: Sequence[str]) -> str:
    return quoted(texts[0]) if len(texts) == 1 else f"[{', '.join(map(quoted, texts))}]"
