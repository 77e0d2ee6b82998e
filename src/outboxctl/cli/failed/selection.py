"""Choosing failed events: the same options for every command that reads or moves them."""

from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import completion
from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from outboxctl.core.operator.selection import Selection

By = Annotated[str, typer.Option("--by", help="Who does it (goes into the audit).", show_default=False)]
Why = Annotated[str, typer.Option("--reason", help="Why (goes into the audit).", show_default=False)]
AtMost = Annotated[
    int | None,
    typer.Option(
        "--limit", min=1, max=2**63 - 1, help="At most this many, oldest first.", show_default=False
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate", min=0.1, max=1_000_000, help="At most this many events a second.", show_default=False
    ),
]
FailIfNone = Annotated[bool, typer.Option("--fail-if-none", help="Exit 5 if no event matches.")]
Ids = Annotated[
    list[str] | None,
    typer.Option(
        "--id", help="Only this event; repeatable.", show_default=False, autocompletion=completion.failed_ids
    ),
]
IdsFrom = Annotated[
    str | None,
    typer.Option(
        "--ids-from",
        metavar="FILE",
        help="Only the events whose ids this file holds, one a line; - is stdin.",
        show_default=False,
    ),
]
ErrorReason = Annotated[
    str | None,
    typer.Option(
        "--error-reason",
        help="Only this reason, such as mapping or connect; none for rows without one.",
        show_default=False,
        autocompletion=completion.reasons,
    ),
]
Fingerprint = Annotated[
    str | None,
    typer.Option(
        "--fingerprint",
        help="Only this cause: its fingerprint in failed list, or the beginning of it.",
        show_default=False,
        autocompletion=completion.fingerprints,
    ),
]
EntityType = Annotated[
    str | None,
    typer.Option(
        "--entity-type",
        help="Only this entity type.",
        show_default=False,
        autocompletion=completion.entity_types,
    ),
]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Created at or after (ISO 8601; UTC if no zone).", show_default=False),
]
Until = Annotated[
    str | None,
    typer.Option("--until", help="Created before (ISO 8601; UTC if no zone).", show_default=False),
]


def selection(
    *,
    ids: list[str] | None = None,
    ids_from: str | None = None,
    error_reason: str | None = None,
    fingerprint: str | None = None,
    entity_type: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
) -> "Selection":
    """The given flags as one selection; UsageError names a bad one, or two that exclude each other."""
    from outboxctl.cli import parse
    from outboxctl.core.operator.selection import Selection

    chosen = Selection(
        ids=_ids(ids, ids_from),
        error_reason=parse.reason("--error-reason", error_reason) if error_reason is not None else None,
        fingerprint=parse.fingerprint("--fingerprint", fingerprint) if fingerprint is not None else None,
        entity_type=parse.words("--entity-type", entity_type, 50) if entity_type is not None else None,
        since=parse.moment("--since", since) if since is not None else None,
        until=parse.moment("--until", until) if until is not None else None,
        limit=limit,
    )
    if chosen.since and chosen.until and chosen.since >= chosen.until:
        raise UsageError(f"--since {since} is not before --until {until}: no event can be both")
    return chosen


def _ids(given: list[str] | None, file: str | None) -> list[str] | None:
    """Those of both flags, each once; None if neither was given. An empty file chooses nothing."""
    from outboxctl.cli import parse

    if not given and file is None:
        return None
    typed = [parse.uuid("--id", value) for value in given or []]
    return list(dict.fromkeys(typed + (parse.ids_from("--ids-from", file) if file is not None else [])))
