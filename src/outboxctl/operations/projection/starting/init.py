"""Starting declarations: made, and tried as `projection plan` reads them, before anything is printed."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from outboxctl.core.projections import indexes
from outboxctl.core.projections.names import LONGEST_WITH_QUERY
from outboxctl.core.projections.tree import NestedRows
from outboxctl.core.projections.tree_sql import Writer
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import NAME
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


def of_tables(
    connection: "Connection", tables: Sequence[str], *, name: str = "", index: str = "", built_in: str = ""
) -> Start:
    """The start for these tables, the root first; `name` and `index` by default after the root.

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
    name = chosen_name(name, root.table.name)
    return checked(
        connection,
        Start(
            name,
            writer.relation(root.table),
            key,
            chosen_index(index or name.lstrip("_"), built_in),
            writer.select(root),
            _body(root),
            notes=notes,
        ),
    )


def _body(root: NestedRows) -> dict[str, Any]:
    """The fields of what is nested; those of the columns are derived wherever the file is read."""
    nested = {child.label for child in root.children}
    found = {name: each for name, each in properties(root).items() if name in nested}
    return {"mappings": {"properties": found}} if found else {}


def chosen_name(given: str, default: str) -> str:
    """The projection's name. UsageError for one that cannot be."""
    if given and (not NAME.fullmatch(given) or len(given) > LONGEST_WITH_QUERY):
        raise UsageError(
            f"--name: {brief(repr(given), 80)} cannot be a projection's name",
            hint=f"1 to {LONGEST_WITH_QUERY} of a-z, 0-9 and _",
        )
    made = re.sub(r"[^a-z0-9_]+", "_", default.lower())[:LONGEST_WITH_QUERY]
    return given or (made if made.strip("_") else "documents")


def chosen_index(index: str, built_in: str) -> str:
    """The index. UsageError for that of the built-in projection."""
    if index == built_in:
        raise UsageError(
            f"{index} is the index of the built-in projection", hint="name another: --index NAME"
        )
    return index


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
    (declared,) = declaration.parsed(FilePath(start.name), start.toml(files=False))
    with undone(connection):
        resolve(connection, declared, schema="public")


def write(starts: Iterable[Start], folder: FilePath) -> list[FilePath]:
    """Write the files of each: NAME.toml, NAME.sql, and NAME.mapping.json where something is nested.

    Raises UsageError, with nothing written, where one is there already.
    """
    texts = {}
    for start in starts:
        texts[folder / f"{start.name}.toml"] = start.toml(files=True)
        texts[folder / f"{start.name}.sql"] = start.query + "\n"
        if start.body:
            texts[folder / f"{start.name}.mapping.json"] = start.mapping
    for path in texts:
        if path.exists() or path.is_symlink():
            hint = "nothing is overwritten: name another folder, or another projection by --name"
            raise UsageError(f"--out: {brief(str(path), 300)} is there already", hint=hint)
    written: list[FilePath] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise UsageError(
            f"--out: cannot write {brief(str(error.filename or folder), 300)}: {error.strerror}"
        ) from None
    return written
