"""`prune`: retention of done events."""

from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.ending import INTERRUPTED
from outboxctl.cli.guards import acting, reading
from outboxctl.cli.options import ByOrLogin, DryRun, Json, ReasonOrCommand, Yes, audited, settings

if TYPE_CHECKING:
    from outboxctl.core.operator.prune import PrunePlan
    from outboxctl.operations.prune import Pruned

RATE = 25_000.0  # rows a second that leave a worker beside it nine tenths of its own rate


def prune(
    older_than: Annotated[str, typer.Option(help="Such as 7d, 12h, 30m or 90s.")],
    rate: Annotated[
        float, typer.Option(min=1, max=1_000_000, help="At most this many rows a second.")
    ] = RATE,
    by: ByOrLogin = None,
    reason: ReasonOrCommand = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete done events, discarded ones included, that were processed longer ago than this.

    Works in small audited transactions beside running workers. ^C ends it after the current one.

    Example: outboxctl prune --older-than 7d --dry-run
    """
    from outboxctl.core.operator import prune as core
    from outboxctl.operations import batches
    from outboxctl.operations import prune as pruning

    began, retention = monotonic(), parse.duration("--older-than", older_than)
    who, configured, done = audited(by, reason or "prune"), settings(), None
    if dry_run:
        with reading(configured) as connection:
            plan = core.plan(connection, retention)
            rows = core.count(connection, plan)
    else:
        with acting(configured, f"prune events done more than {older_than} ago", yes=yes) as db:
            with db.begin() as connection:
                plan = core.plan(connection, retention)
            filters = {"older_than": older_than, "cutoff": plan.cutoff.isoformat()}
            more: dict[str, Any] = {"filters": filters, "rate": rate, **who}
            began = monotonic()
            with batches.stoppable() as stop, rendering.progress("Pruning, page", plan.blocks) as advance:
                done = pruning.apply(db, plan, stop=stop, advance=advance, **more)
        rows = done.rows
    seconds = monotonic() - began
    report: dict[str, Any] = {"pruned" if done else "matched": rows, "dry_run": dry_run}
    report |= {"older_than": older_than, "cutoff": plan.cutoff, "audit_id": done and done.audit_id}
    report |= {"seconds": seconds, "interrupted": bool(done and done.interrupted)}
    rendering.show(report, lambda: _lines(plan, rows, done, seconds), json=json)
    if done and done.interrupted:
        raise typer.Exit(INTERRUPTED)


def _lines(plan: "PrunePlan", rows: int, done: "Pruned | None", seconds: float) -> list[str]:
    events = f"{rows:,} events that were done before {rendering.cell(plan.cutoff)}"
    if done is None:
        return [f"{events} would be deleted (dry run, nothing changed)."]
    lines = [f"{events} were deleted in {rendering.age(seconds)}."]
    lines += ["Interrupted: run it again for the rest."] if done.interrupted else []
    return lines + ([f"Audit {done.audit_id}"] if done.audit_id else [])
