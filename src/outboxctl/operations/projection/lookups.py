"""Tables that are read as a whole, because no index begins with a column that their rows are found by.

Where rows are found by which columns the view's own joins say, and the comparisons of a `keys` query that the
declaration names: the sizes of tables do not matter, an empty one counts as well.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from outboxctl.core.projections import catalog, dependencies, indexes, view_texts
from outboxctl.core.projections.indexes import MissingIndex, Unindexed
from outboxctl.domain.keys_query import replaced
from outboxctl.domain.projection import Follow, Projection, Relation
from outboxctl.operations.projection.analysis.analyse import Analysis, analyse
from outboxctl.operations.projection.analysis.keys import Lookup

if TYPE_CHECKING:
    from outboxctl.core.database import Connection


def unindexed(connection: "Connection", projection: Projection) -> Unindexed:
    """Look at a projection in force, by its view as it is now."""
    view, root = projection.document, projection.root
    texts = view_texts.read(connection, view, {*dependencies.used(connection, view), root})
    analysis = analyse(texts, view, root, [each.name for each in projection.key])
    return of_analysis(connection, projection, analysis)


def of_analysis(connection: "Connection", projection: Projection, analysis: Analysis) -> Unindexed:
    """The same of what was proved of a view."""
    ways = [way for several in analysis.follows.values() for way in several]
    declared = [Lookup(each.table, each.key) for each in projection.follow if each.key]
    reading = [*(each for way in ways for each in way.reading), *declared]
    finding = [
        (each.table, missing)
        for each in projection.follow
        for missing in _missing(connection, lookups(connection, each, analysis))
    ]
    return Unindexed(projection, list(_missing(connection, reading)), finding)


def lookups(connection: "Connection", follow: Follow, analysis: Analysis) -> tuple[Lookup, ...]:
    """How the documents behind a row are found, in the order of the tables."""
    ways = analysis.follows.get(follow.table, ())
    made = next((way.finding for way in ways if way.keys and way.keys == follow.keys), None)
    return tuple(_compared(connection, follow.keys)) if made is None and follow.keys else made or ()


def _compared(connection: "Connection", keys: str) -> Iterator[Lookup]:
    """What a query compares with columns of the changed row, else with another table; nothing if unclear."""
    try:
        tree = sqlglot.parse_one(replaced(keys, lambda _: "$1"), read="postgres")
    except SqlglotError:
        return
    tables = {each.alias_or_name: each for each in tree.find_all(exp.Table)}
    given, joined = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for equal in tree.find_all(exp.EQ):
        for one, other in ((equal.this, equal.expression), (equal.expression, equal.this)):
            column = one.unnest()
            if isinstance(column, exp.Column):
                alias = column.table or next(iter(tables), "")
                (given if other.find(exp.Parameter) else joined)[alias].append(column.name)
    for alias, table in tables.items():
        if columns := given.get(alias) or joined.get(alias):
            relation = Relation(table.db or "public", table.name)
            if catalog.kind(connection, relation) in catalog.TABLES:
                yield Lookup(relation, tuple(dict.fromkeys(columns)))


def _missing(connection: "Connection", several: Iterable[Lookup]) -> Iterator[MissingIndex]:
    for table, columns in dict.fromkeys(several):
        if catalog.kind(connection, table) in catalog.TABLES and not indexes.finds(
            connection, table, columns
        ):
            yield MissingIndex(table, columns, indexes.create_sql(connection, table, columns))
