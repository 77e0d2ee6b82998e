"""What the documents of a plan will cost the worker: for a change of each table, from samples."""

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from outboxctl.core.projections import change_costs, scratch
from outboxctl.core.projections.change_costs import DocumentsBehind, ReadingTime
from outboxctl.core.sql.transaction import undone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.core.database import Connection
    from outboxctl.operations.projection.plan import Planned

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


def _of_one(connection: "Connection", planned: "Planned", until: float) -> ChangeCosts:
    declared, projection = planned.resolved.declaration, planned.projection
    with undone(connection):
        view = planned.resolved.looked_at
        if declared.query:
            view = scratch.temporary_view(connection, declared.name, declared.query)
        reading = change_costs.reading(connection, projection, view)
        behind = [
            change_costs.behind(connection, each) if monotonic() < until else None
            for each in projection.follow
        ]
        return ChangeCosts(reading, behind)
