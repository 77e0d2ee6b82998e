"""The number of documents behind a changed row of each followed table of a plan."""

from collections.abc import Sequence
from time import monotonic

from outboxctl.core.projections import change_costs, indexes
from outboxctl.core.projections.change_costs import DocumentsBehind
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.projection import Follow
from outboxctl.operations.projection import notices
from outboxctl.operations.projection.resolved import Planned

SECONDS = 10.0  # after which the documents behind no other table's rows are counted


def count_documents_behind(connection: Connection, planned: Sequence[Planned]) -> None:
    """Set `behind` of each: the documents behind a row of each followed table; from samples.

    None where that takes too long to look at, or is refused, and of all schemas of a declaration but the
    first. Nothing is changed.
    """
    until, looked_at = monotonic() + SECONDS, {id(each) for each in one_of_each(planned)}
    with undone(connection):
        for one in planned:
            one.behind = [
                _behind(connection, one, each) if id(one) in looked_at and monotonic() < until else None
                for each in one.projection.follow
            ]


def one_of_each(planned: Sequence[Planned]) -> list[Planned]:
    """Those of the plan that say what the others cost: of a declaration for several schemas the first."""
    first = {each.projection.family or each.projection.name: each for each in reversed(planned)}
    return [*first.values()]


def _behind(connection: Connection, planned: Planned, follow: Follow) -> DocumentsBehind | None:
    first = notices.lookups(connection, follow, planned.analysis)[:1]
    known = indexes.most_rows(connection, *first[0]) if first else 0
    return change_costs.behind(connection, planned.projection.root, follow, known=known)
