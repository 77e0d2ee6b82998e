"""Choosing failed events: the same options for every command that reads or moves them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import completion, parse
from outboxctl.cli.choosing import OfProjection, OfType
from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from outboxctl.core.operator.selection import Selection

AtMost = Annotated[
    int | None, typer.Option("--limit", min=1, max=2**63 - 1, help="At most this many, oldest first.")
]
FailIfNone = Annotated[bool, typer.Option("--fail-if-none", help="Exit 5 if no event matches.")]


@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """Which failed events."""

    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="Only this event; repeatable."),
    ] = None
    ids_from: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Only the events whose ids this file holds, one a line; - is stdin."
        ),
    ] = None
    error_reason: Annotated[
        str | None,
        typer.Option(
            help="Only this reason, such as mapping or connect; none for rows without one.",
            autocompletion=completion.reasons,
        ),
    ] = None
    fingerprint: Annotated[
        str | None,
        typer.Option(
            help="Only this cause: its fingerprint in failed list, or the beginning of it.",
        ),
    ] = None
    entity_type: OfType = None
    projection: OfProjection = None
    since: Annotated[str | None, typer.Option(help="Created at or after (ISO 8601; UTC if no zone).")] = None
    until: Annotated[str | None, typer.Option(help="Created before (ISO 8601; UTC if no zone).")] = None

    def selection(self, limit: int | None) -> "Selection":
        """These options as one selection; UsageError names a bad one, or two that exclude each other."""
        from outboxctl.core.operator.selection import Selection

        chosen = Selection(
            ids=self._all_ids(),
            error_reason=parse.optional(parse.reason, "--error-reason", self.error_reason),
            fingerprint=parse.optional(parse.fingerprint, "--fingerprint", self.fingerprint),
            entity_type=parse.optional(parse.words, "--entity-type", self.entity_type, 50),
            projection=parse.optional(parse.words, "--projection", self.projection, 50),
            since=parse.optional(parse.moment, "--since", self.since),
            until=parse.optional(parse.moment, "--until", self.until),
            limit=limit,
        )
        if chosen.since and chosen.until and chosen.since >= chosen.until:
            raise UsageError(f"--since {self.since} is not before --until {self.until}: no event can be both")
        return chosen

    def _all_ids(self) -> list[str] | None:
        """The ids of both options, each once; None without either. An empty file chooses nothing."""
        if not self.ids and self.ids_from is None:
            return None
        ids = [parse.uuid("--id", value) for value in self.ids or []]
        if self.ids_from is not None:
            ids += parse.ids_from("--ids-from", self.ids_from)
        return list(dict.fromkeys(ids))
