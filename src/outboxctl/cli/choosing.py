"""Options that choose the events of a projection or an entity type."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import parse

if TYPE_CHECKING:
    from outboxctl.core.database import Connection
    from outboxctl.core.projections.choosing import Scope

OfProjection = Annotated[
    str | None,
    typer.Option("--projection", help="Only this projection's events."),
]
OfType = Annotated[
    str | None,
    typer.Option("--entity-type", help="Only this entity type."),
]


@dataclass(frozen=True, kw_only=True)
class ScopeOptions:
    """Whose events."""

    projection: OfProjection = None
    entity_type: OfType = None

    def scope(self, connection: "Connection") -> "Scope":
        """The condition on events. Raises UsageError for an unknown projection."""
        from outboxctl.core.projections import choosing

        name = parse.optional(parse.words, "--projection", self.projection, 50)
        kind = parse.optional(parse.words, "--entity-type", self.entity_type, 50)
        return choosing.scope(*choosing.resolved(connection, name, kind))
