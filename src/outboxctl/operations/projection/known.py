"""Projections by name, the built-in one among them, and how they are."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.table import TableSource, unused
from outboxctl.core.projections import in_force
from outboxctl.core.projections.changes import outbox_schema
from outboxctl.core.sql import Connection
from outboxctl.core.stats import by_projection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, built_in
from outboxctl.operations.projection.declaration import APPLICATION, TRIGGERS


def overviews(connection: Connection, index: str, only: str | None = None) -> list[dict[str, Any]]:
    """What all projections are, by name, or one, with their events that are not done; ages in seconds.

    The built-in one, whose index is `index`, comes last, and only where it has a row, or an event that is not
    done. UsageError where `only` is not in force.
    """
    counted = by_projection.count(connection, max_processing=0.0, only=only)
    waiting = {each.name: each for each in counted.projections}
    several = [named(connection, only, index)] if only else in_force.read(connection)
    if not (only or unused(connection)):
        several = [*several, named(connection, PROJECTION, index)]
    return [
        facts(each)
        | {name: getattr(own, name) for name in ("pending", "processing", "failed")}
        | {"oldest_seconds": own.oldest_age_seconds if own.lag else None}
        for each in several
        for own in (waiting.get(each.label, by_projection.ProjectionStatus(each.label)),)
    ]


def named(connection: Connection, name: str, index: str = "") -> Projection:
    """The projection of this name. UsageError where none is in force.

    With `index`, that of the built-in projection, also that one.
    """
    if index and name == PROJECTION:
        return built_in(index, outbox_schema(connection))
    known = {each.name: each for each in in_force.read(connection)}
    if name in known:
        return known[name]
    near = get_close_matches(name, list(known), n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    hint = f"{meant}in force: {brief(', '.join(known) or 'none', 500)}"
    raise UsageError(f"no projection {brief(repr(name), 80)} is in force", hint=hint)


def source_of(projection: Projection, tell: Callable[[str], object] = lambda _: None) -> DocumentSource:
    """Where its documents are read; `tell` as `DocumentSource` has it."""
    return DocumentSource(projection, tell) if projection.name else TableSource(projection)


def facts(projection: Projection) -> dict[str, Any]:
    """What a projection is, for a report; no columns of a followed table means all of them."""
    return {
        "name": projection.label,
        "index": projection.index,
        "root": str(projection.root),
        "key": [each.name for each in projection.key],
        "document": str(projection.document),
        "follow": [
            {
                "table": str(each.table),
                "key": list(each.key),
                "keys": each.keys,
                "all": each.all,
                "columns": list(each.columns),
            }
            for each in projection.follow
        ],
        "routing": projection.routing,
        "pipeline": projection.pipeline,
        "version": projection.version,
        "events": TRIGGERS if projection.triggers else APPLICATION,
    }


def search_index_unused(connection: Connection) -> bool:
    """Whether projections are in force, and search_index has neither a row nor an event that is not done.

    Without an index, too, nobody uses search_index: there is nothing to compare, and no index is missing.
    """
    return bool(in_force.names(connection)) and unused(connection)
