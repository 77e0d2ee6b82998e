"""The tables whose changes reach documents: those of the declaration, and those that foreign keys lead to."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from outboxctl.core.projections import catalog, dependencies, foreign_keys, scratch
from outboxctl.core.projections.catalog import Kind
from outboxctl.core.projections.fields import Field, fields, parameter_types
from outboxctl.core.projections.nearest import table_hint
from outboxctl.domain.errors import UsageError
from outboxctl.domain.keys_query import parameters
from outboxctl.domain.printable import brief, counted
from outboxctl.domain.projection import BLANK_PADDED, Follow, KeyColumn, Relation
from outboxctl.operations.projection.declaration import Declaration, DeclaredFollow
from outboxctl.operations.projection.place import Place, shown

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

TABLES = (Kind.TABLE, Kind.PARTITIONED)
WORDS = {
    Kind.TABLE: "a table",
    Kind.PARTITIONED: "a table",
    Kind.VIEW: "a view: it has no triggers",
    Kind.MATERIALIZED_VIEW: "a materialized view: its refresh fires no trigger",
    Kind.FOREIGN_TABLE: "a foreign table: changes elsewhere fire no trigger",
}
ALIKE = (
    frozenset(f"pg_catalog.int{size}" for size in (2, 4, 8)),
    frozenset(("pg_catalog.text", "pg_catalog.varchar", BLANK_PADDED)),
)
SHOWN = 3  # paths in a message
NOT_FOLLOWED = (
    "name it in [[{table}.follow]] with `key` or `keys`, or put it into `ignore` if its changes do not count"
)
TREE = (
    "name it in [[{table}.follow]] with `keys` that find the documents of a row and of the rows that refer to"
    " it by {columns}"
)
Columns = frozenset[str]


def tables(
    connection: "Connection",
    declared: Declaration,
    root: Relation,
    key: tuple[KeyColumn, ...],
    view: Relation,
) -> tuple[tuple[str, ...], tuple[Follow, ...], tuple[Relation, ...]]:
    """The root's columns that count (empty: all), the followed tables, and those that are ignored.

    The followed ones are in the order of the declaration; those that foreign keys lead to come last.
    Raises UsageError for a table that the view reads and nothing follows or ignores.
    """
    used = dependencies.used(connection, view)
    ignored = [_ignored(connection, declared.place.at("ignore"), name) for name in declared.ignore]
    follow = [_declared(connection, each, key, used) for each in declared.follow]
    named = {each.table for each in follow}
    if both := named & set(ignored):
        declared.place.at("ignore").fail(f"{next(iter(both))} is followed, too")
    open_ = dependencies.uncovered(connection, view, root, used, named | set(ignored))
    through = set(used) - {root}
    trees = {key.here: key for key in foreign_keys.constraints(connection) if key.here == key.there}
    for table in sorted(open_, key=str):
        _check_table(connection, declared.place, table)
        paths = foreign_keys.paths(connection, root, {table, *through})[table]
        needed = dependencies.occurrences(connection, view, table) - (table == root)
        _check_paths(declared.place, root, table, paths, max(1, needed), tree=trees.get(table))
        follow += [foreign_keys.follow(path, declared.key, used[table]) for path in paths]
    root_columns = _counted(used.get(root, frozenset()), [each.name for each in key])
    return root_columns, tuple(follow), tuple(ignored)


def check_column(place: Place, name: str, of: object, known: Sequence[str]) -> None:
    """Raise UsageError where a column that is named is not there; an empty name is none."""
    if not name or name in known:
        return
    near = get_close_matches(name, known, n=1)
    place.fail(f"{of} has no column {shown(name)}", f"did you mean {near[0]}?" if near else _listed(known))


def _listed(known: Sequence[str]) -> str:
    return f"its columns: {brief(', '.join(known), 300)}" if known else ""


def relation(connection: "Connection", place: Place, name: str, *, view: bool = False) -> Relation:
    """The table (or view) of this name. UsageError where it is not there, or of another kind."""
    found, what = _named(connection, place, name), "table or view" if view else "table"
    is_a = catalog.kind(connection, found) if found else None
    if found is None or is_a is None:
        place.fail(f"there is no {what} {brief(name, 140)}", table_hint(connection, name))
    if is_a not in (*TABLES, *([Kind.VIEW] if view else [])):
        place.fail(f"{found} is {WORDS[is_a]}")
    return found


def _ignored(connection: "Connection", place: Place, name: str) -> Relation:
    found = _named(connection, place, name)
    if found is None:
        place.fail(f"there is no table {brief(name, 140)}", table_hint(connection, name))
    return found


def _named(connection: "Connection", place: Place, name: str) -> Relation | None:
    try:
        return catalog.resolve(connection, name)
    except ValueError as error:
        place.fail(str(error), "a name with capitals or other characters is in quotes: 'shop.\"Products\"'")


def _declared(
    connection: "Connection",
    declared: DeclaredFollow,
    key: tuple[KeyColumn, ...],
    used: dict[Relation, Columns],
) -> Follow:
    place = declared.place
    table = relation(connection, place.at("table"), declared.table)
    columns = {each.name: each for each in fields(connection, table)}
    for part in ("key", "columns"):
        for name in getattr(declared, part):
            check_column(place.at(part), name, table, list(columns))
    for name, wanted in zip(declared.key, key, strict=False):
        _check_type(place.at("key"), columns[name], wanted)
    names = _parameters(connection, declared, list(columns.values()), key)
    counting = frozenset(declared.columns) or used.get(table, frozenset())
    return Follow(
        table,
        declared.key,
        declared.keys,
        names,
        _counted(counting, [*declared.key, *names]),
        tuple(parameter_types(names, list(columns.values())).values()),
        declared.all,
    )


def _check_type(place: Place, column: Field, wanted: KeyColumn) -> None:
    if column.listed or not _same(column.type, wanted.type):
        place.fail(f"{shown(column.name)} is {column.type}, and the key's {shown(wanted.name)} {wanted.type}")


def _parameters(
    connection: "Connection",
    declared: DeclaredFollow,
    columns: Sequence[Field],
    key: tuple[KeyColumn, ...],
) -> tuple[str, ...]:
    """The parameters of a `keys` query. UsageError for one that is no column, and where it does not parse."""
    place, query = declared.place.at("keys"), declared.keys
    if not query:
        return ()
    names = parameters(query)
    if not names:
        place.fail("it has no parameter", f":name is a column of the changed row of {declared.table}")
    for name in names:
        check_column(place, name, declared.table, [each.name for each in columns])
    try:
        found = scratch.key_types(connection, query, parameter_types(names, columns))
    except UsageError as error:
        place.fail(str(error), error.hint)
    if len(found) != len(key):
        place.fail(f"it has {len(found)} columns, and the key of the projection has {len(key)}")
    for type_, wanted in zip(found, key, strict=True):
        if not _same(type_, wanted.type):
            place.fail(f"it returns {type_}, and the key's {shown(wanted.name)} is {wanted.type}")
    return names


def _same(one: str, other: str) -> bool:
    """Whether equal values of both types have the same text."""
    return len({one, other}) == 1 or any({one, other} <= group for group in ALIKE)


def _check_table(connection: "Connection", place: Place, table: Relation) -> None:
    if (what := catalog.kind(connection, table)) not in TABLES:
        words = WORDS[what] if what else "which is gone"
        place.fail(f"the view reads {table}, {words}", "put it into `ignore`, or read a table")


def _check_paths(
    place: Place,
    root: Relation,
    table: Relation,
    paths: Sequence[foreign_keys.Path],
    needed: int,
    *,
    tree: foreign_keys.Step | None,
) -> None:
    """One path for a table that the view reads once; as many at least for one that it reads several times."""
    if len(paths) == 1 == needed or 1 < needed <= len(paths) or (table == root and needed <= len(paths)):
        return
    lead = f"{counted(len(paths), 'path')} of foreign keys {'leads' if len(paths) == 1 else 'lead'} to {root}"
    why = lead if paths else f"no foreign keys lead to {root}"
    several = f" ({'; '.join(map(str, paths[:SHOWN]))})" if paths else ""
    what = f"the view reads {table}{f' {needed} times' if needed > 1 else ''}, and nothing follows it"
    hint = TREE.format(table=place.table, columns=", ".join(tree.columns)) if tree and paths else ""
    place.fail(f"{what}: {why}{several}", hint or NOT_FOLLOWED.format(table=place.table))


def _counted(columns: Columns, needed: Sequence[str]) -> tuple[str, ...]:
    """Columns whose change counts, those of the key among them; none of them means all."""
    return tuple(sorted({*columns, *needed})) if columns else ()
