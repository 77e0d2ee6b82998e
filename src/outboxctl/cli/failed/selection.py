"""Choosing failed events: the same options for every command that reads or moves them."""

from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import completion, parse
from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from outboxctl.core.operator.selection import Selection

Ids = Annotated[list[str] | None, typer.Option("--id", help="Only this event; repeatable.")]
OfReason = Annotated[
    str | None,
    typer.Option(
        "--error-reason",
        help="Only this reason, such as mapping or connect; none for rows without one.",
        autocompletion=completion.reasons,
    ),
]
OfCause = Annotated[
    str | None,
    typer.Option(
        "--fingerprint", help="Only this cause: its fingerprint in failed list, or the beginning of it."
    ),
]
Since = Annotated[str | None, typer.Option("--since", help="Created at or after (ISO 8601; UTC if no zone).")]
Until = Annotated[str | None, typer.Option("--until", help="Created before (ISO 8601; UTC if no zone).")]
AtMost = Annotated[
    int | None, typer.Option("--limit", min=1, max=2**63 - 1, help="At most this many, oldest first.")
]


def selection(
    ids: list[str] | None,
    error_reason: str | None,
    fingerprint: str | None,
    entity_type: str | None,
    projection: str | None,
    since: str | None,
    until: str | None,
    limit: int | None,
) -> "Selection":
    """These options as one selection; UsageError names a bad one, or two that exclude each other."""
    from outboxctl.core.operator.selection import Selection

    chosen = Selection(
        ids=list(dict.fromkeys(parse.uuid("--id", value) for value in ids)) if ids else None,
        error_reason=parse.optional(parse.reason, "--error-reason", error_reason),
        fingerprint=parse.optional(parse.fingerprint, "--fingerprint", fingerprint),
        entity_type=parse.optional(parse.words, "--entity-type", entity_type, 50),
        projection=parse.optional(parse.words, "--projection", projection, 50),
        since=parse.optional(parse.moment, "--since", since),
        until=parse.optional(parse.moment, "--until", until),
        limit=limit,
    )
    if chosen.since and chosen.until and chosen.since >= chosen.until:
        raise UsageError(f"--since {since} is not before --until {until}: no event can be both")
    return chosen
