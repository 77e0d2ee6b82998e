"""What `plan` warns of: what a projection costs, and what it cannot see."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outboxctl.core.projections import catalog, indexes, table_scans, view_facts
from outboxctl.core.projections.catalog import Kind
from outboxctl.core.projections.fields import fields, parameter_types
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Follow, Projection, Relation, Routing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from outboxctl.core.database import Connection
    from outboxctl.core.projections.table_scans import TableScan
    from outboxctl.operations.projection.proof import Proof

UNCLEAR = "create an index on the columns that its `keys` compares"
UNCLEAR_VIEW = "join it on a column with an index, or keep what is read of it in a smaller table"
ONE_BY_ONE = "create one, by these statements: the last one takes the others, and locks nobody out for long"
FEW_PAGES = 100  # of 8 kB


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
        *_cost(connection, projection, view),
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


def _cost(connection: "Connection", projection: Projection, view: Relation) -> "Iterator[Notice]":
    """What is read as a whole, each index that is missing once."""
    try:
        whole = table_scans.of_view(connection, projection, view)
    except ReadRefusedError as error:
        text = f"what reading a document costs is not known: {error.words}"
        yield Notice(text, "run this as a role that may read the view")
        whole = []
    found = [notice for each in whole for notice in _read(connection, each)]
    found += [notice for each in projection.follow if each.keys for notice in _search(connection, each)]
    named = [notice.sql for notice in found]
    yield from (each for n, each in enumerate(found) if not each.sql or each.sql not in named[:n])


def _read(connection: "Connection", scan: "TableScan") -> "Iterator[Notice]":
    """A table without a condition that an index can serve is read as it is: said where it is large."""
    text = f"reading a document reads all of {scan.table}"
    if scan.columns:
        yield _missing(connection, text, scan)
    elif catalog.pages(connection, scan.table) > FEW_PAGES:
        yield Notice(text, UNCLEAR_VIEW)


def _missing(connection: "Connection", text: str, scan: "TableScan") -> Notice:
    sql = indexes.create_sql(connection, scan.table, scan.columns)
    fix = "create one" if len(sql) == 1 else ONE_BY_ONE
    return Notice(f"{text}: no index begins with {', '.join(scan.columns)}", fix, tuple(sql))


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
    for scan in table_scans.of_query(connection, follow.keys, types):
        text = f"finding the documents behind a row of {follow.table} reads all of {scan.table}"
        yield _missing(connection, text, scan) if scan.columns else Notice(text, UNCLEAR)


def _fields(names: "Sequence[str]") -> "Iterator[Notice]":
    if names:
        text = f"no search finds what is in {brief(', '.join(names), 200)}: json has no mapping by itself"
        yield Notice(text, "declare these fields in the mapping file if they shall be found")
