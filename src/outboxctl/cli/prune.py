"""`prune`: retention of done events."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli.closed_pipe import tolerate_closed_pipe
from outboxctl.cli.guards import Yes, acting, reading
from outboxctl.cli.options import DatabaseUrl, Json, settings

if TYPE_CHECKING:
    from datetime import timedelta

    from outboxctl.core.database import Database
    from outboxctl.core.operator.prune import PrunePlan
    from outboxctl.operations.prune import Pruned
    from outboxctl.settings import Settings

INTERRUPTED = 130
RATE = 25_000.0  # rows a second that leave a worker beside it nine tenths of its own rate


def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", help="Such as 7d, 12h, 30m, 90s or P1DT12H.", show_default=False)
    ],
    rate: Annotated[
        float, typer.Option("--rate", min=1, max=1_000_000, help="At most this many rows a second.")
    ] = RATE,
    by: Annotated[
        str | None,
        typer.Option("--by", help="Who does it (the database role by default).", show_default=False),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why (goes into the audit).")] = "retention",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be deleted.")] = False,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Delete done events, discarded ones included, that were processed longer ago than this.

    Works in small audited transactions beside running workers. ^C ends it after the one under way.

    Example: outboxctl prune --older-than 7d --dry-run
    """
    from time import monotonic

    from outboxctl.cli import parse

    began, retention = monotonic(), parse.duration("--older-than", older_than)
    by = parse.words("--by", by, 120) if by is not None else None
    reason = parse.words("--reason", reason, 2_000)
    given = settings(database_url=database_url)
    if dry_run:
        plan, rows = _count(given, retention)
        _show(older_than, plan, rows, None, seconds=monotonic() - began, json=json)
        return
    with acting(given, f"prune events done more than {older_than} ago", yes=yes) as db:
        plan, done = _run(db, retention, rate=rate, by=by, reason=reason, older_than=older_than)
    _show(older_than, plan, done.rows, done, seconds=done.seconds, json=json)
    if done.interrupted:
        raise typer.Exit(INTERRUPTED)


def _count(given: "Settings", retention: "timedelta") -> "tuple[PrunePlan, int]":
    from outboxctl.cli import rendering
    from outboxctl.core.operator import prune as core
    from outboxctl.operations import prune as acts

    with reading(given) as connection:
        plan = core.plan(connection, retention)
        with rendering.progress("Counting, page", plan.blocks) as advance:
            return plan, acts.count(connection, plan, advance)


def _run(
    db: "Database", retention: "timedelta", *, rate: float, by: str | None, reason: str, older_than: str
) -> "tuple[PrunePlan, Pruned]":
    from outboxctl.cli import rendering
    from outboxctl.core.operator import prune as core
    from outboxctl.operations import batches
    from outboxctl.operations import prune as acts

    with db.begin() as connection:
        plan = core.plan(connection, retention)
    filters = {"older_than": older_than, "cutoff": plan.cutoff.isoformat()}
    who = {"by": by or plan.user, "reason": reason}
    with batches.stoppable() as stop, rendering.progress("Pruning, page", plan.blocks) as advance:
        return plan, acts.apply(db, plan, filters=filters, stop=stop, rate=rate, advance=advance, **who)


@tolerate_closed_pipe()
def _show(
    older_than: str, plan: "PrunePlan", rows: int, done: "Pruned | None", *, seconds: float, json: bool
) -> None:
    from outboxctl.cli import rendering

    if json:
        report: dict[str, Any] = {"matched" if done is None else "pruned": rows, "dry_run": done is None}
        report |= {"older_than": older_than, "cutoff": plan.cutoff, "audit_id": done and done.audit_id}
        rendering.emit_json(report | {"seconds": seconds, "interrupted": bool(done and done.interrupted)})
        return
    what = f"{rows:,} events that were done before {rendering.cell(plan.cutoff)}"
    if done is None:
        typer.echo(f"{what} would be deleted (dry run, nothing changed).")
        return
    typer.echo(f"{what} were deleted in {rendering.age(seconds)}.")
    if done.interrupted:
        typer.echo("Stopped as asked: run it again for the rest.")
    if done.audit_id:
        typer.echo(f"Audit {done.audit_id}")
