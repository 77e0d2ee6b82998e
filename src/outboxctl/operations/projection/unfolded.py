"""A view that a declaration names where a table is meant, unfolded to the tables beneath it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from psycopg.sql import SQL, Identifier
from sqlglot import exp

from outboxctl.core.projections import catalog, dependencies, indexes, scratch, view_texts
from outboxctl.core.projections.catalog import Kind
from outboxctl.core.projections.fields import fields
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import undone
from outboxctl.domain import keys_query
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Follow, Relation
from outboxctl.operations.projection import proof
from outboxctl.operations.projection.analysis.analyse import TableKey, analyse_part
from outboxctl.operations.projection.analysis.keys import parameter
from outboxctl.operations.projection.analysis.model import NotUnderstoodError
from outboxctl.operations.projection.analysis.reading import parsed
from outboxctl.operations.projection.declaration import DeclaredFollow
from outboxctl.operations.projection.place import Place

ROW = SQL('"outboxctl row of a view"')  # a name that is none of the user's
TRIED = " "  # in the name of a view that is made for a look: no projection has that name
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
    analysis = analyse_part(view_texts.read(connection, named, used), named, key)
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

    Raises UsageError for those of which that does not follow, as `proof.follows`.
    """
    view, place, names = follow.table, given.place, follow.key or follow.parameters
    used = _counting(connection, view, follow.columns)
    if follow.all:
        for table in used.keys() - named:
            proof.require_table(connection, place, table)
        return [
            Follow(each, all=True, columns=proof.counting(used[each], ())) for each in used.keys() - named
        ]
    analysis = analyse_part(view_texts.read(connection, view, {*used}), view, names)
    if why := analysis.unknown_key or analysis.wrong_key:
        place.at("key" if follow.key else "keys").fail(f"in {view} {brief(why, 300)}", IN_ITS_PLACE)
    found = proof.follows(connection, place, proof.Proof(None, used, analysis), named)
    return found if follow.key else [_by_query(each, follow) for each in found]


def _by_query(way: Follow, of_view: Follow) -> Follow:
    """The query of the view's changed row for a row of a table, of which `way` finds the parameters."""
    names, query = of_view.parameters, of_view.keys
    if way.key:
        own = dict(zip(names, way.key, strict=True))
        keys = keys_query.replaced(query, lambda name: parameter(own[name]))
        types = dict(zip(way.key, way.types, strict=True))
    else:
        row = keys_query.replaced(query, lambda name: SQL("{}.{}").format(ROW, Identifier(name)).as_string())
        columns = SQL(", ").join(map(Identifier, names))
        keys = (
            SQL("SELECT k.* FROM ({}) {} ({}) CROSS JOIN LATERAL (\n{}\n) k")
            .format(SQL(way.keys), ROW, columns, SQL(row))
            .as_string()
        )
        types = dict(zip(way.parameters, way.types, strict=True))
    parameters = keys_query.parameters(keys)
    counted = proof.counting(way.columns, parameters) if way.columns else ()
    return Follow(way.table, (), keys, parameters, counted, tuple(types[name] for name in parameters))


def _counting(
    connection: Connection, view: Relation, columns: Collection[str]
) -> Mapping[Relation, frozenset[str]]:
    """The columns of tables that a view's rows depend on; that these of its columns do, if there are any."""
    used = dependencies.used(connection, view)
    with undone(connection), suppress(NotUnderstoodError, UsageError):
        select = parsed(view_texts.read(connection, view, used).views[view])
        # Of UNION and DISTINCT each column decides which rows there are.
        if columns and isinstance(select, exp.Select) and not select.args.get("distinct"):
            chosen = [each for each in select.expressions if each.alias_or_name in columns]
            select.set("expressions", chosen)
            made = scratch.temporary_view(connection, TRIED, select.sql("postgres"))
            return dependencies.used(connection, made)
    return used
