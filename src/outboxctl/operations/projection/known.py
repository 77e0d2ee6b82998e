"""Projections in force, by name, and how they are."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from outboxctl.core.documents import table
from outboxctl.core.projections import in_force
from outboxctl.core.sql import Connection
from outboxctl.core.stats import by_projection
from outboxctl.core.stats.by_projection import ProjectionStatus
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Follow, Projection
from outboxctl.operations.projection.declaration import APPLICATION, TRIGGERS


@dataclass(frozen=True)
class ProjectionOverview:
    """A projection in force, and its events that are not done; ages in seconds."""

    name: str
    index: str
    root: str
    key: list[str]
    document: str
    follow: list[dict[str, Any]]
    routing: str
    pipeline: str
    version: str
    events: str
    pending: int
    processing: int
    failed: int
    oldest_seconds: float | None


def overviews(connection: Connection, only: str | None = None) -> list[ProjectionOverview]:
    """Of all projections in force, by name, or of one. UsageError where that is not in force."""
    counted = by_projection.count(connection, max_processing=0.0, only=only)
    waiting = {each.name: each for each in counted.projections}
    several = [named(connection, only)] if only else in_force.read(connection)
    return [_overview(each, waiting[each.name]) for each in several]


def named(connection: Connection, name: str) -> Projection:
    """The projection of this name. UsageError where none is in force."""
    known = {each.name: each for each in in_force.read(connection)}
    if name in known:
        return known[name]
    near = get_close_matches(name, list(known), n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    hint = f"{meant}in force: {brief(', '.join(known) or 'none', 500)}"
    raise UsageError(f"no projection {brief(repr(name), 80)} is in force", hint=hint)


def followed(follow: Follow) -> dict[str, Any]:
    """A followed table for a report; no columns means all of them."""
    return {
        "table": str(follow.table),
        "key": list(follow.key),
        "keys": follow.keys,
        "all": follow.all,
        "columns": list(follow.columns),
    }


def search_index_unused(connection: Connection) -> bool:
    """Whether projections are in force, and search_index has neither a row nor an event that is not done.

    Without an index, too, nobody uses search_index: there is nothing to compare, and no index is missing.
    """
    return bool(in_force.names(connection)) and table.unused(connection)


def _overview(projection: Projection, waiting: ProjectionStatus) -> ProjectionOverview:
    return ProjectionOverview(
        name=projection.name,
        index=projection.index,
        root=str(projection.root),
        key=[each.name for each in projection.key],
        document=str(projection.document),
        follow=[followed(each) for each in projection.follow],
        routing=projection.routing,
        pipeline=projection.pipeline,
        version=projection.version,
        events=TRIGGERS if projection.triggers else APPLICATION,
        pending=waiting.pending,
        processing=waiting.processing,
        failed=waiting.failed,
        oldest_seconds=waiting.oldest_age_seconds if waiting.lag else None,
    )
