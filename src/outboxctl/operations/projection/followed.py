"""The tables whose changes reach documents: those of the declaration, and those that joins lead to."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial

from outboxctl.core.projections import catalog, dependencies, indexes, scratch
from outboxctl.core.projections.catalog import Kind, table_hint
from outboxctl.core.projections.fields import Field, fields, parameter_types, stored
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.keys_query import parameters
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import BLANK_PADDED, Follow, KeyColumn, Relation
from outboxctl.operations.projection.analysis.chains import same_text
from outboxctl.operations.projection.analysis.keys import TableKey
from outboxctl.operations.projection.declaration import Declaration, DeclaredFollow
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.place import quoted as toml_text
from outboxctl.operations.projection.proof import Proof, counting, follow_lines, follows, prove, toml_name

TO_IGNORE = (*catalog.TABLES, Kind.MATERIALIZED_VIEW, Kind.FOREIGN_TABLE)


def tables(
    connection: Connection,
    declared: Declaration,
    root: TableKey,
    key: tuple[KeyColumn, ...],
    view: Relation,
    *,
    with_triggers: bool,
) -> tuple[tuple[str, ...], tuple[Follow, ...], tuple[Relation, ...], Proof]:
    """The root's columns that count (empty: all), the followed tables, those that are ignored, the proof.

    The followed ones are in the order of the declaration; those that the view's joins lead to come last.
    Without triggers nothing is followed.
    Raises UsageError for tables that the view reads and nothing follows or ignores, and as `proof.prove`.
    """
    used = dependencies.used(connection, view)
    ignored = [
        relation(connection, declared.place.at("ignore"), name, TO_IGNORE, lines=_ignore_line)
        for name in declared.ignore
    ]
    follow = [_declared(connection, each, key, used) for each in declared.follow]
    named = {each.table for each in follow}
    if both := named & set(ignored):
        declared.place.at("ignore").fail(f"{next(iter(both))} is followed, too")
    named |= {*ignored}
    proof = prove(connection, declared, root, view, follow, used=used)
    root_columns: tuple[str, ...] = ()
    if with_triggers:
        # The root's own row is followed in any case.
        follow = [each for each in follow if (each.table, each.key) != root]
        follow += follows(connection, declared.place, proof, named)
        root_columns = counting(used.get(root.table, frozenset()), root.columns)
    else:
        follow = []
    return root_columns, tuple(follow), tuple({*ignored}), proof


def check_column(place: Place, name: str, of: object, known: Sequence[str], fix: str = "") -> None:
    """Raise UsageError where a column that is named is not there; an empty name is none."""
    if not name or name in known:
        return
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else fix or f"its columns: {brief(', '.join(known), 300)}"
    place.fail(f"{of} has no column {shown(name)}", hint if known else "")


def relation(
    connection: Connection,
    place: Place,
    name: str,
    kinds: Collection[Kind] = catalog.TABLES,
    *,
    lines: Callable[[Sequence[Relation]], str] = lambda _: "",
) -> Relation:
    """Return the table (or view) of this name.

    Raises UsageError where there is none, or none of these kinds; for a view instead of a table with the
    `lines` to paste, which are made of the tables that it reads.
    """
    try:
        found = catalog.resolve(connection, name)
    except ValueError as error:
        place.fail(str(error), "a name with capitals or other characters is in quotes: 'shop.\"Products\"'")
    is_a = catalog.kind(connection, found) if found else None
    if found is None or is_a is None:
        what = "table or view" if Kind.VIEW in kinds else "table"
        place.fail(f"there is no {what} {brief(name, 140)}", table_hint(connection, name))
    if is_a not in kinds:
        hint = "name a table, or a view of tables" if Kind.VIEW in kinds else "name the tables that it reads"
        beneath = sorted(dependencies.used(connection, found), key=str) if is_a is Kind.VIEW else []
        place.fail(f"{found} is {catalog.WORDS[is_a]}", hint, block=lines(beneath) if beneath else "")
    return found


def root_lines(connection: Connection, key: Sequence[str], beneath: Sequence[Relation]) -> str:
    """Return the line with the root for each table beneath a view: those with this key first."""
    ordered = sorted(beneath, key=lambda each: not indexes.is_unique(connection, each, key))
    return "\n# or: ".join(f"root = {toml_name(each)}" for each in ordered) + "\n"


def _ignore_line(beneath: Sequence[Relation]) -> str:
    return f"ignore = [{', '.join(map(toml_name, beneath))}]\n"


def _follow_lines(connection: Connection, declared: DeclaredFollow, beneath: Sequence[Relation]) -> str:
    """Return the lines that follow the tables with the key's columns; the view's own joins lead to others."""
    projection = replace(declared.place, key="")
    if declared.key:
        how = f"key = [{', '.join(map(toml_text, declared.key))}]"
        names = {each: {field.name for field in fields(connection, each)} for each in beneath}
        if own := [each for each in beneath if names[each].issuperset(declared.key)]:
            return "\n".join(follow_lines(projection, each, how) for each in own)
    return "\n".join(follow_lines(projection, each, "all = true") for each in beneath)


def _declared(
    connection: Connection,
    declared: DeclaredFollow,
    key: tuple[KeyColumn, ...],
    used: Mapping[Relation, frozenset[str]],
) -> Follow:
    place = declared.place
    lines = partial(_follow_lines, connection, declared)
    table = relation(connection, place.at("table"), declared.table, lines=lines)
    columns = {each.name: each for each in fields(connection, table)}
    for part in ("key", "columns"):
        for name in getattr(declared, part):
            check_column(place.at(part), name, table, list(columns))
    for name, wanted in zip(declared.key, key, strict=False):
        own = columns[name]
        if own.listed or not _same(own.type, wanted.type):
            what = f"{shown(name)} is {own.type}, and the key's {shown(wanted.name)} {wanted.type}"
            place.at("key").fail(what)
    names = _parameters(connection, declared, list(columns.values()), key)
    for part, needed in (("key", declared.key), ("keys", names)):
        for name in needed:
            if (computed := columns[name].computed) is not None:
                what = f"{shown(name)} is a virtual generated column of {table}: no trigger can read it"
                place.at(part).fail(what, f"use what it is computed from: {brief(', '.join(computed), 300)}")
    counted = stored(columns.values(), declared.columns) or used.get(table, frozenset())
    return Follow(
        table,
        declared.key,
        declared.keys,
        names,
        counting(counted, [*declared.key, *names]),
        tuple(parameter_types(declared.key or names, list(columns.values())).values()),
        declared.all,
    )


def _parameters(
    connection: Connection, declared: DeclaredFollow, columns: Sequence[Field], key: tuple[KeyColumn, ...]
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
    """Whether equal values of both types have the same text, but for blanks at the end of a char(n)."""
    return same_text(*("pg_catalog.text" if each == BLANK_PADDED else each for each in (one, other)))
