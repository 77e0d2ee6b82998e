"""What the documents of a plan will cost: the worker, for a change of each table, and the application."""

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from outboxctl.core.projections import change_costs, changes, in_force, indexes, scratch, writer_costs
from outboxctl.core.projections.change_costs import DocumentsBehind, ReadingTime
from outboxctl.core.projections.writer_costs import WriterCosts
from outboxctl.core.sql.transaction import undone
from outboxctl.operations.projection import lookups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.core.database import Connection
    from outboxctl.domain.projection import Follow
    from outboxctl.operations.projection.plan import Planned

WRITERS = 5.0  # for what writes cost, and twice that on a server that is busy
SECONDS = 10.0  # after which the documents behind no other table's rows are counted


@dataclass(frozen=True)
class ChangeCosts:
    """Of one projection: the time to read documents, and what is behind a row of each followed table.

    None where that takes too long to look at, or is refused.
    """

    reading: ReadingTime | None
    behind: list[DocumentsBehind | None]


def change_costs_of(connection: "Connection", planned: "Sequence[Planned]") -> list[ChangeCosts]:
    """In the order of the plan; from samples, and in a bounded time. Nothing is changed."""
    until = monotonic() + SECONDS
    return [_of_one(connection, each, until) for each in planned]


def writer_costs_of(connection: "Connection", planned: "Sequence[Planned]") -> list[WriterCosts]:
    """Of each table that triggers of the plan's projections are on. Nothing is changed."""
    projections = [each.projection for each in planned if each.projection.triggers]
    named = {each.projection.name for each in planned}
    beside = [each for each in in_force.read(connection) if each.name not in named]
    schema = changes.outbox_schema(connection)
    return writer_costs.measure(connection, projections, schema, beside=beside, seconds=WRITERS)


def _of_one(connection: "Connection", planned: "Planned", until: float) -> ChangeCosts:
    declared, projection = planned.resolved.declaration, planned.projection
    with undone(connection):
        view = planned.resolved.looked_at
        if declared.query:
            view = scratch.temporary_view(connection, declared.name, declared.query)
        reading = change_costs.reading(connection, projection, view)
        behind = [
            _behind(connection, planned, each) if monotonic() < until else None for each in projection.follow
        ]
        return ChangeCosts(reading, behind)


def _behind(connection: "Connection", planned: "Planned", follow: "Follow") -> DocumentsBehind | None:
    first = lookups.lookups(connection, follow, planned.resolved.analysis)[:1]
    known = indexes.most_rows(connection, *first[0]) if first else 0
    return change_costs.behind(connection, planned.projection.root, follow, known=known)
