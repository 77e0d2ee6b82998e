"""What `plan` warns of: what a projection costs, and what it cannot see."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outboxctl.core.projections import catalog, view_facts
from outboxctl.core.projections.catalog import Kind
from outboxctl.core.projections.indexes import Unindexed
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, Relation, Routing
from outboxctl.operations.projection import lookups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from outboxctl.core.database import Connection
    from outboxctl.operations.projection.analysis.analyse import Analysis

ONE_BY_ONE = "create one, by these statements: the last one takes the others, and locks nobody out for long"


@dataclass(frozen=True)
class Notice:
    """A warning in one sentence, and what to do; `sql` are statements that do it, where they are known."""

    text: str
    fix: str
    sql: tuple[str, ...] = ()


def notices(
    connection: "Connection",
    projection: Projection,
    view: Relation,
    analysis: "Analysis",
    unsearched: "Sequence[str]",
) -> list[Notice]:
    """Warnings about a projection whose document is (or would be) `view`."""
    return [
        *_view(connection, view),
        *_cost(lookups.of_analysis(connection, projection, analysis)),
        *_partitions(connection, projection),
        *_fields(unsearched),
    ]


def _view(connection: "Connection", view: Relation) -> "Iterator[Notice]":
    if names := view_facts.volatile(connection, view):
        text = f"the view calls {brief(', '.join(names), 200)}: a document changes without an event"
        yield Notice(text, "keep the value in a column, or put up with documents that are out of date")
    for table in view_facts.row_security(connection, view):
        text = f"{table} has row level security: rows that the worker may not see have no document"
        yield Notice(text, "give the worker's role a policy for all rows, or BYPASSRLS")


def _cost(unindexed: Unindexed) -> "Iterator[Notice]":
    """What is read as a whole, each index that is missing once."""
    found = [(f"reading a document reads all of {each.table}", each) for each in unindexed.reading]
    found += [
        (f"finding the documents behind a row of {table} reads all of {each.table}", each)
        for table, each in unindexed.finding
    ]
    said = set[tuple[str, ...]]()
    for text, each in found:
        sql = tuple(each.sql)
        if sql not in said:
            fix = "create one" if len(sql) == 1 else ONE_BY_ONE
            yield Notice(f"{text}: no index begins with {', '.join(each.columns)}", fix, sql)
        said.add(sql)


def _partitions(connection: "Connection", projection: Projection) -> "Iterator[Notice]":
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


def routing_cost(projection: Projection, settings: "Mapping[str, Any]") -> list[Notice]:
    """What a routing costs that a document may change, in an index of these (flat) settings."""
    shards = int(settings.get("index.number_of_shards", 1))
    if projection.routed is not Routing.COLUMN or shards == 1:
        return []
    name = brief(projection.routing, 200)
    text = f"the routing {name} is not in the key: each document is written to all {shards} shards"
    return [Notice(text, f"make {name} a part of the key if a row never changes it")]


def _fields(names: "Sequence[str]") -> "Iterator[Notice]":
    if names:
        text = f"no search finds what is in {brief(', '.join(names), 200)}: json has no mapping by itself"
        yield Notice(text, "declare these fields in the mapping file if they shall be found")
