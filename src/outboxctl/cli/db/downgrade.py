"""`db downgrade`: back to an older schema, and what that would take away."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.guards import Yes, confirm, reading, refuse_if_read_only
from outboxctl.cli.options import DatabaseUrl, Json, Wait, checked_database, print_progress, settings

if TYPE_CHECKING:
    from outboxctl.core.schema.downgrade import DowngradePlan


def downgrade(
    revision: Annotated[
        str | None, typer.Argument(help="An older revision; by default the one before.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be lost.")] = False,
    yes: Yes = False,
    wait: Wait = 60.0,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Go back to an older schema, for an older outboxctl; says what is lost, and asks.

    Events and source rows stay. Refused while workers are alive.

    Example: outboxctl db downgrade --dry-run
    """
    from outboxctl.core.schema import downgrade as core

    given = settings(database_url=database_url)
    if dry_run:
        with reading(given) as connection:
            made = core.plan(connection, "the database", revision)
        _show(made, dry_run=True, json=json)
        return
    refuse_if_read_only(given, "downgrade the schema")
    with checked_database(given, connections=1) as db:
        with db.begin() as connection:
            made = core.plan(connection, db.name, revision)
        core.refuse_beside_workers(made.workers)
        if not yes:
            print_progress(_words(made))
        confirm(given, db, f"go back to revision {made.target}", yes=yes, always=True)
        core.apply(db, made, patience=wait, report=print_progress)
    _show(made, dry_run=False, json=json)


def _show(made: "DowngradePlan", *, dry_run: bool, json: bool) -> None:
    from outboxctl.cli import rendering

    if json:
        rendering.emit_json(asdict(made) | {"dry_run": dry_run})
        return
    typer.echo(_words(made))
    done = "dry run, nothing changed" if dry_run else f"Schema at revision {made.target} (was {made.current})"
    typer.echo(f"{done}.")


def _words(made: "DowngradePlan") -> str:
    from outboxctl.domain.printable import counted

    lines = [f"From revision {made.current} to {made.target} is lost:"]
    for loss in made.lost:
        rows = "" if loss.rows is None else f" ({counted(loss.rows, 'value' if '.' in loss.name else 'row')})"
        lines.append(f"  {loss.kind} {loss.name}{rows}")
    return "\n".join(lines)
