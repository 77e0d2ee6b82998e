"""`db mark`: change which environment the database says that it is."""

from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from outboxctl.cli.failed.selection import By, DryRun, Why
from outboxctl.cli.guards import Yes, confirm, reading, refuse_if_read_only
from outboxctl.cli.options import DatabaseUrl, Json, database, print_progress, settings

if TYPE_CHECKING:
    from outboxctl.settings import Settings


def mark(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="dev, test, sandbox or prod.")],
    by: By,
    reason: Why,
    dry_run: DryRun = False,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Mark the database as another environment, with an audit row.

    Every command compares the marker with OUTBOX_ENV (or WORDLOOM_ENV), and faults are injected in dev,
    test and sandbox alone. One that is marked prod is asked about. Changes nothing where it is marked so.

    Example: outboxctl db mark test --by alice --reason "the lab document runs here"
    """
    from outboxctl.cli import parse
    from outboxctl.settings.kinds import Environment

    wanted = parse.one_of("ENV", environment, get_args(Environment), "environment")
    by, reason = parse.words("--by", by, 120), parse.words("--reason", reason, 2_000)
    given = settings(database_url=database_url)
    if dry_run:
        made = _plan(given, wanted)
    else:
        refuse_if_read_only(given, f"mark the database {wanted}")
        made = _change(given, wanted, by=by, reason=reason, yes=yes)
    _show(made, json=json)
    _warn_of_setting(given, wanted)


def _plan(given: "Settings", wanted: str) -> dict[str, Any]:
    from outboxctl.core.schema import marker

    # Whatever OUTBOX_ENV says: a contradiction is what this command is called for.
    with reading(given.model_copy(update={"environment": None})) as connection:
        return _report(marker.read(connection), wanted, None, dry_run=True)


def _change(given: "Settings", wanted: str, *, by: str, reason: str, yes: bool) -> dict[str, Any]:
    from outboxctl.core.schema import marker

    with database(given) as db:
        confirm(given, db, f"mark it {wanted}", yes=yes)
        with db.begin() as connection:
            before, audit_id = marker.change(connection, wanted, by=by, reason=reason)
    return _report(before, wanted, audit_id, dry_run=False)


def _report(before: str | None, after: str, audit_id: str | None, *, dry_run: bool) -> dict[str, Any]:
    changes = before != after
    return {"before": before, "after": after, "changes": changes, "dry_run": dry_run, "audit_id": audit_id}


def _show(made: dict[str, Any], *, json: bool) -> None:
    from outboxctl.cli import rendering

    if json:
        rendering.emit_json(made)
        return
    before, after = made["before"] or "nothing", made["after"]
    if not made["changes"]:
        typer.echo(f"The database is marked {after} already; nothing was changed.")
    elif made["dry_run"]:
        typer.echo(
            f"The database is marked {before}, and would be marked {after} (dry run, nothing changed)."
        )
    else:
        typer.echo(f"The database is marked {after} (was {before}).\nAudit {made['audit_id']}")


def _warn_of_setting(given: "Settings", wanted: str) -> None:
    from outboxctl.settings import variable_of

    if given.environment and given.environment != wanted:
        name = variable_of("environment", given.environment)
        why = f"commands refuse a database that is marked {wanted} until it is changed"
        print_progress(f"outboxctl: {name} is {given.environment}: {why}")
