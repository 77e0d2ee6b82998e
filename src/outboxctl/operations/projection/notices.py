"""What `plan` warns of: what a projection costs, and what it cannot see."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outboxctl.core.projections import catalog, indexes, table_scans, view_facts
from outboxctl.core.projections.catalog import Kind
from outboxctl.core.projections.fields import fields, parameter_types
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Follow, Projection, Relation, Routing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from outboxctl.core.database import Connection
    from outboxctl.operations.projection.proof import Proof

UNCLEAR = "create an index on the columns that its `keys` compares"


@dataclass(frozen=True)
class Notice:
    """A warning in one sentence, and what to do; `sql` are statements that do it, where they are known."""

    text: str
    fix: str
    sql: tuple[str, ...] = ()


def notices(
    connection: "Connection", projection: Projection, view: Relation, unsearched: "Sequence[str]"
) -> list[Notice]:
    """Warnings about a projection whose document is (or would be) `view`."""
    return [
        *_view(connection, view),
        *_cost(connection, projection),
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


def _cost(connection: "Connection", projection: Projection) -> "Iterator[Notice]":
    for follow in projection.follow:
        if follow.keys:
            yield from _search(connection, follow)
        elif follow.key and not indexes.has_index_for(connection, follow.table, follow.key):
            names = ", ".join(follow.key)
            text = f"reading a document reads all of {follow.table}: no index begins with {names}"
            yield Notice(text, "create one", (indexes.create_sql(connection, follow.table, follow.key),))


def _partitions(connection: "Connection", projection: Projection) -> "Iterator[Notice]":
    """No trigger of the table fires for these, and partitions come and go after `apply`."""
    for table in dict.fromkeys([projection.root, *(each.table for each in projection.follow)]):
        if catalog.kind(connection, table) is Kind.PARTITIONED:
            what = "TRUNCATE of a single partition, and ATTACH, DETACH or DROP of one, write no event"
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


def most_documents(connection: "Connection", projection: Projection, proof: "Proof") -> list[int | None]:
    """About how many documents are behind one row of each followed table, at most.

    None where a row belongs to one document, for a query of the declaration's own, and without statistics.
    """
    return [_most(connection, each, proof) for each in projection.follow]


def _most(connection: "Connection", follow: Follow, proof: "Proof") -> int | None:
    beside = proof.beside(follow.keys) if follow.keys else None
    return indexes.most_documents(connection, *beside) if beside else None


def _search(connection: "Connection", follow: Follow) -> "Iterator[Notice]":
    columns = fields(connection, follow.table)
    types = parameter_types(follow.parameters, columns)
    whole = table_scans.of_query(connection, follow.keys, types)
    if whole:
        names = ", ".join(str(each.table) for each in whole)
        text = f"finding the documents behind a row of {follow.table} reads all of {names}"
        sql = tuple(
            indexes.create_sql(connection, each.table, each.columns) for each in whole if each.columns
        )
        plain = len(sql) == len(whole)
        fix = f"create {'an index' if len(sql) == 1 else 'indexes'}" if plain else UNCLEAR
        yield Notice(text, fix, sql if plain else ())


def _fields(names: "Sequence[str]") -> "Iterator[Notice]":
    if names:
        text = f"no search finds what is in {brief(', '.join(names), 200)}: json has no mapping by itself"
        yield Notice(text, "declare these fields in the mapping file if they shall be found")
