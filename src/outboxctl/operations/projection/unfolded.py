"""A view that a declaration names where a table is meant, unfolded to the tables beneath it."""

from collections.abc import Collection, Sequence

from outboxctl.core.projections import catalog, dependencies, indexes, view_texts
from outboxctl.core.projections.catalog import Kind
from outboxctl.core.projections.fields import fields
from outboxctl.core.sql import Connection
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Follow, Relation
from outboxctl.operations.projection import proof
from outboxctl.operations.projection.analysis.analyse import analyse
from outboxctl.operations.projection.analysis.keys import TableKey
from outboxctl.operations.projection.declaration import DeclaredFollow
from outboxctl.operations.projection.place import Place

OF_EACH = "declare a projection of each of them, with a SELECT of its own"
NO_KEY = "join the table whose key it is into the view by =, and take the key's columns from there; or {}"
IN_ITS_PLACE = "name the tables that it reads in its place, each in a [[follow]]"


def root(connection: Connection, place: Place, named: Relation, key: tuple[str, ...]) -> TableKey:
    """The table whose rows become documents, with its key: of a view the one whose key the view has.

    Raises UsageError with what to write where there is none, or none that is proved.
    """
    if catalog.kind(connection, named) is not Kind.VIEW:
        return TableKey(named, key)
    used = dependencies.used(connection, named)
    analysis = analyse(view_texts.read(connection, named, used), named, None, key)
    tables = " or ".join(map(proof.toml_name, sorted(used, key=str)))
    name_it = f"name the table whose key it is: root = {brief(tables, 300)}"
    if analysis.unknown_key:
        place.fail(f"it is not clear whose rows {named} has: {analysis.unknown_key}", name_it)
    if analysis.wrong_key:
        place.fail(f"in {named} {brief(analysis.wrong_key, 300)}: no column of a table", name_it)
    common = [each for each in analysis.keyed[0] if all(each in several for several in analysis.keyed)]
    if not common:
        tables = " and of ".join(dict.fromkeys(str(several[0].table) for several in analysis.keyed))
        place.fail(f"{named} has rows of {tables}", OF_EACH)
    found = next((each for each in common if _is_key(connection, each)), None)
    if found is None:
        why = _no_key(connection, key, common[0])
        place.fail(f"in {named} {why}", NO_KEY.format(name_it))
    return found


def _is_key(connection: Connection, given: TableKey) -> bool:
    columns = {each.name: each for each in fields(connection, given.table)}
    not_null = all(columns[name].not_null for name in given.columns)
    return not_null and indexes.is_unique(connection, given.table, given.columns)


def _no_key(connection: Connection, key: Sequence[str], found: TableKey) -> str:
    """Why a view's key is that of no table."""
    kind = catalog.kind(connection, found.table)
    unique = kind in catalog.TABLES and indexes.is_unique(connection, found.table, found.columns)
    why = "where it can be NULL" if unique else "which is not unique there"
    if kind and kind not in catalog.TABLES:
        why = catalog.WORDS[kind]
    pairs = (f"{name} is {column}" for name, column in zip(key, found.columns, strict=True))
    return f"{', '.join(pairs)} of {found.table}, {why}"


def follows(
    connection: Connection, given: DeclaredFollow, follow: Follow, named: Collection[Relation]
) -> list[Follow]:
    """How the tables beneath a view are followed that are not `named`, by what is declared of the view.

    Raises UsageError with what to write where that does not follow, as `proof.follows`.
    """
    view, place = follow.table, given.place
    for part in ("keys", "columns"):
        if getattr(given, part):
            place.at(part).fail(f"{view} is a view", IN_ITS_PLACE)
    used = dependencies.used(connection, view)
    if follow.all:
        tables = used.keys() - named
        for table in tables:
            proof.require_table(connection, place, table)
        return [Follow(each, all=True, columns=proof.counting(used[each], ())) for each in tables]
    analysis = analyse(view_texts.read(connection, view, used), view, None, follow.key)
    if why := analysis.unknown_key or analysis.wrong_key:
        place.at("key").fail(f"in {view} {brief(why, 300)}", IN_ITS_PLACE)
    return proof.follows(connection, place, proof.Proof(None, used, analysis), named)
