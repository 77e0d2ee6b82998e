"""`db downgrade`: back to an older schema, and what is lost by it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.guards import as_owner, checked_database, confirm, reading, refuse_if_read_only
from outboxctl.cli.options import ChangeOptions, LockWait, print_progress
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from outboxctl.core.schema.downgrade import DowngradePlan


def downgrade(
    common: ChangeOptions,
    revision: Annotated[
        str | None, typer.Argument(help="An older revision; by default the one before.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be lost.")] = False,
    wait: LockWait = 60.0,
) -> None:
    """Go back to an older schema, for an older outboxctl; says what is lost, and asks.

    Events and source rows stay. Refused while workers are alive.

    Example: outboxctl db downgrade --dry-run
    """
    from outboxctl.core.schema import downgrade as core

    settings = common.settings()
    if dry_run:
        with reading(settings) as connection:
            plan = core.plan(connection, "the database", revision)
        done = "dry run, nothing changed"
    else:
        refuse_if_read_only(settings, "downgrade the schema")
        with checked_database(settings) as db:
            with db.begin() as connection:
                plan = core.plan(connection, db.name, revision)
            core.refuse_beside_workers(plan.workers)
            if not common.yes:
                print_progress(_losses(plan))
            confirm(settings, db, f"go back to revision {plan.target}", yes=common.yes, always=True)
            with as_owner():
                core.apply(db, plan, patience=wait, report=print_progress)
        done = f"Schema at revision {plan.target} (was {plan.current})"
    report = asdict(plan) | {"dry_run": dry_run}
    rendering.show(report, lambda: [_losses(plan), f"{done}."], json=common.json)


def _losses(plan: "DowngradePlan") -> str:
    lines = [f"From revision {plan.current} to {plan.target} is lost:"]
    for loss in plan.lost:
        rows = "" if loss.rows is None else f" ({counted(loss.rows, 'value' if '.' in loss.name else 'row')})"
        lines.append(f"  {loss.kind} {loss.name}{rows}")
    return "\n".join(lines)
