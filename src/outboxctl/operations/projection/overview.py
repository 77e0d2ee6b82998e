"""What projections are, and how many of their events wait."""

from typing import Any

from outboxctl.core.documents.table import unused
from outboxctl.core.projections import in_force
from outboxctl.core.sql import Connection
from outboxctl.core.stats import by_projection
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection.declaration import APPLICATION, TRIGGERS
from outboxctl.operations.projection.known import chosen, named


def overviews(connection: Connection, index: str, only: str | None = None) -> list[dict[str, Any]]:
    """What all projections are, by name, or those of a name, with events that are not done; ages in seconds.

    The built-in one, whose index is `index`, comes last, and only where it has a row, or an event that is not
    done. UsageError where `only` is not in force.
    """
    counted = by_projection.count(connection, max_processing=0.0, only=only)
    waiting = {each.name: each for each in counted.projections}
    several = chosen(connection, only, index) if only else in_force.read(connection)
    if not (only or unused(connection)):
        several = [*several, named(connection, PROJECTION, index)]
    return [
        facts(each)
        | {name: getattr(own, name) for name in ("pending", "processing", "failed")}
        | {"oldest_seconds": own.oldest_age_seconds if own.lag else None}
        for each in several
        for own in (waiting.get(each.label, by_projection.ProjectionStatus(each.label)),)
    ]


def facts(projection: Projection) -> dict[str, Any]:
    """What a projection is, for a report; no columns of a followed table means all of them."""
    return {
        "name": projection.label,
        "index": projection.index,
        "id_prefix": projection.id_prefix,
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
        "skip_unchanged": projection.skip_unchanged,
        "family": projection.family,
        "schema": projection.schema,
        "events": TRIGGERS if projection.triggers else APPLICATION,
    }
