"""What `plan` warns of: what a projection costs, and what it cannot see."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from outboxctl.core.projections import catalog, dependencies, indexes, json_casts, view_texts
from outboxctl.core.projections.catalog import Kind
from outboxctl.core.projections.indexes import MissingIndex
from outboxctl.core.refused_reads import NO_POLICY
from outboxctl.core.sql import Connection
from outboxctl.domain.keys_query import replaced
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Follow, Projection, Relation, Routing
from outboxctl.operations.projection.analysis.analyse import Analysis, analyse
from outboxctl.operations.projection.analysis.keys import TableKey
from outboxctl.operations.projection.contents import Unknown

ONE_BY_ONE = "create one, by these statements: the last one takes the others, and locks nobody out for long"


@dataclass(frozen=True)
class Notice:
    """A warning in one sentence, and what to do; `sql` are statements that do it, where they are known."""

    text: str
    fix: str
    sql: tuple[str, ...] = ()


def notices(
    connection: Connection,
    projection: Projection,
    view: Relation,
    analysis: Analysis,
    unsearched: Sequence[Unknown],
) -> list[Notice]:
    """Warnings about a projection whose document is (or would be) `view`."""
    return [
        *_view(connection, view),
        *_passed(connection, view),
        *_cost(of_analysis(connection, projection, analysis)),
        *_partitions(connection, projection),
        *_version(projection),
        *_fields(unsearched),
    ]


def _view(connection: Connection, view: Relation) -> "Iterator[Notice]":
    if names := dependencies.volatile(connection, view):
        text = f"the view calls {brief(', '.join(names), 200)}: a document changes without an event"
        yield Notice(text, "keep the value in a column, or put up with documents that are out of date")
    for table in dependencies.row_security(connection, view):
        text = f"{table} has row level security, whose policies are not run: no document can be read"
        yield Notice(text, NO_POLICY)
    if cast := json_casts.foreign_cast(connection, view):
        text = f"{cast}: no document can be read"
        yield Notice(text, "drop the cast, or give the function to the outbox's owner")


def _passed(connection: Connection, view: Relation) -> "Iterator[Notice]":
    for table, reader in dependencies.passed_security(connection, view):
        text = (
            f"{table} has row level security, which {reader} reads past: rows of everybody are in one index"
        )
        yield Notice(text, "leave out of the view what a search must not find, or filter each search")


def _cost(several: Iterable[MissingIndex]) -> Iterator[Notice]:
    """What is read as a whole, each index that is missing once."""
    first: dict[tuple[str, ...], MissingIndex] = {}
    for each in several:
        first.setdefault(each.sql, each)
    for each in first.values():
        fix = "create one" if len(each.sql) == 1 else ONE_BY_ONE
        text = f"{each.what} reads all of {each.table}: no index begins with {', '.join(each.columns)}"
        yield Notice(text, fix, each.sql)


def _partitions(connection: Connection, projection: Projection) -> "Iterator[Notice]":
    """No trigger of the table fires for these, and partitions come and go after `apply`."""
    for table in dict.fromkeys([projection.root, *(each.table for each in projection.follow)]):
        if catalog.kind(connection, table) is Kind.PARTITIONED:
            what = "ATTACH, DETACH and DROP of a partition, and TRUNCATE of one that is new, write no event"
            fix = f"after such a change: outboxctl verify --projection {projection.name} --repair"
            yield Notice(f"{table} is partitioned: {what}", fix)
        elif catalog.is_inherited(connection, table):
            what = f"a table that inherits from {table} writes events once it has triggers"
            yield Notice(
                f"{what}: one that is made later has none", "after it was made: apply this file again"
            )


def _version(projection: Projection) -> Iterator[Notice]:
    if projection.version and projection.follow:
        names = brief(", ".join(dict.fromkeys(str(each.table) for each in projection.follow)), 200)
        text = f"documents change with {names}: of two with one {projection.version} the last to arrive stays"
        yield Notice(text, f"let {projection.version} grow with each of these changes, in its transaction")


def routing_cost(projection: Projection, settings: Mapping[str, Any]) -> list[Notice]:
    """What a routing costs that a document may change, in an index of these (flat) settings."""
    shards = int(settings.get("index.number_of_shards", 1))
    if projection.routed is not Routing.COLUMN or shards == 1:
        return []
    name = brief(projection.routing, 200)
    text = f"the routing {name} is not in the key: each document is written to all {shards} shards"
    return [Notice(text, f"make {name} a part of the key if a row never changes it")]


def _fields(unsearched: Sequence[Unknown]) -> "Iterator[Notice]":
    """By the reason; of an object of which nothing is known its name alone."""
    for why in dict.fromkeys(each.why for each in unsearched):
        names = [".".join(each.path) for each in unsearched if each.why == why]
        text = f"no search finds what is in {brief(', '.join(names), 200)}: {why}"
        yield Notice(text, "declare these fields in the mapping file if they shall be found")


def unindexed(connection: Connection, projection: Projection) -> list[MissingIndex]:
    """Indexes that a projection in force lacks, by its view as it is now."""
    view, root = projection.document, projection.root
    texts = view_texts.read(connection, view, {*dependencies.used(connection, view), root})
    own = TableKey(root, tuple(each.name for each in projection.key))
    analysis = analyse(texts, view, own)
    return of_analysis(connection, projection, analysis)


def of_analysis(connection: Connection, projection: Projection, analysis: Analysis) -> list[MissingIndex]:
    """The same of what was proved of a view."""
    declared = [TableKey(each.table, each.key) for each in projection.follow if each.key]
    found = [("reading a document", each) for each in (*analysis.reading, *declared)]
    for follow in projection.follow:
        what = f"finding the documents behind a row of {follow.table}"
        found += [(what, each) for each in lookups(connection, follow, analysis)]
    return missing(connection, found)


def missing(connection: Connection, found: Iterable[tuple[str, TableKey]]) -> list[MissingIndex]:
    """The indexes that these lack: each with what it is for."""
    return [
        MissingIndex(what, table, columns, tuple(indexes.create_sql(connection, table, columns)))
        for what, (table, columns) in dict.fromkeys(found)
        if catalog.kind(connection, table) in catalog.TABLES and not indexes.finds(connection, table, columns)
    ]


def lookups(connection: Connection, follow: Follow, analysis: Analysis) -> tuple[TableKey, ...]:
    """How the documents behind a row are found, in the order of the tables."""
    ways = analysis.follows.get(follow.table, ())
    made = next((way.finding for way in ways if way.keys and way.keys == follow.keys), None)
    return tuple(_compared(connection, follow.keys)) if made is None and follow.keys else made or ()


def _compared(connection: Connection, keys: str) -> Iterator[TableKey]:
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
                yield TableKey(relation, tuple(dict.fromkeys(columns)))
