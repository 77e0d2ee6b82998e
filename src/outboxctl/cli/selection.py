"""Choosing failed events, and showing what was done to them: the same for every act of an operator."""

from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import complete

if TYPE_CHECKING:
    from outboxctl.core.replay import Act, Plan, Selection

SHOWN = 20  # ids that a person sees; --json has them all

By = Annotated[str, typer.Option("--by", help="Who does it (goes into the audit).", show_default=False)]
Why = Annotated[str, typer.Option("--reason", help="Why (goes into the audit).", show_default=False)]
AtMost = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="At most this many, oldest first.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Ids = Annotated[
    list[str] | None,
    typer.Option(
        "--id", help="Only this event; repeatable.", show_default=False, autocompletion=complete.failed_ids
    ),
]
ErrorReason = Annotated[
    str | None,
    typer.Option(
        "--error-reason",
        help="Only this reason, such as mapping or connect.",
        show_default=False,
        autocompletion=complete.reasons,
    ),
]
EntityType = Annotated[
    str | None,
    typer.Option(
        "--entity-type",
        help="Only this entity type.",
        show_default=False,
        autocompletion=complete.entity_types,
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
    ids: list[str] | None,
    error_reason: str | None,
    entity_type: str | None,
    since: str | None,
    until: str | None,
    limit: int | None,
) -> "Selection":
    """The given flags as one selection; UsageError names a bad one."""
    from outboxctl.cli import parse
    from outboxctl.core.replay import Selection

    return Selection(
        ids=[parse.uuid("--id", value) for value in ids or []],
        error_reason=parse.reason("--error-reason", error_reason) if error_reason is not None else None,
        entity_type=parse.words("--entity-type", entity_type, 50) if entity_type is not None else None,
        since=parse.moment("--since", since) if since is not None else None,
        until=parse.moment("--until", until) if until is not None else None,
        limit=limit,
    )


def show(plan: "Plan", act: "Act | None", participle: str, sentence: tuple[str, str], *, json: bool) -> None:
    """What was done (`act`) or, in a dry run, would be: `sentence` says it in both ways."""
    from outboxctl.cli import render

    ids = plan.ids if act is None else act.ids
    if json:
        count = {"selected": len(ids)} if act is None else {participle: len(ids)}
        report = {"matched": plan.matched, **count, "dry_run": act is None, "ids": ids}
        render.emit_json(report | {"audit_id": act.audit_id if act else None, "by_reason": plan.by_reason})
        return
    out = render.console()
    out.print(f"{plan.matched:,} failed events match; {len(ids):,} {sentence[act is None]}.")
    if ids:
        out.print(render.counts("By reason", ("reason", "events"), plan.by_reason))
        rest = f" and {len(ids) - SHOWN:,} more (--json lists all)" if len(ids) > SHOWN else ""
        out.print("\n".join(ids[:SHOWN]) + rest)
    if act and act.audit_id:
        out.print(f"Audit {act.audit_id}")
