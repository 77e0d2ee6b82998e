"""`db mark`: change the environment marker of the database."""

from typing import TYPE_CHECKING, Annotated, get_args

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.guards import as_owner, confirm, database, reading, refuse_if_read_only
from outboxctl.cli.options import By, DryRun, Json, Reason, Yes, audited, print_progress, settings

if TYPE_CHECKING:
    from outboxctl.settings import Settings


def mark(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="dev, test, sandbox or prod.")],
    by: By,
    reason: Reason,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Mark the database as another environment, with an audit row.

    Every command compares the marker with OUTBOX_ENV (or WORDLOOM_ENV), and faults are injected in dev,
    test and sandbox alone. For one that is marked prod it asks first. Nothing changes where the marker
    is the same already.

    Example: outboxctl db mark test --by alice --reason "the lab document runs here"
    """
    from outboxctl.core.schema import marker
    from outboxctl.settings.kinds import Environment

    after = parse.one_of("ENV", environment, get_args(Environment), "environment")
    who, configured, audit_id = audited(by, reason), settings(), None
    if dry_run:
        # Whatever OUTBOX_ENV says: a contradiction is what this command is called for.
        with reading(configured.model_copy(update={"environment": None})) as connection:
            before = marker.read(connection)
    else:
        refuse_if_read_only(configured, f"mark the database {after}")
        with database(configured) as db:
            confirm(configured, db, f"mark it {after}", yes=yes)
            with as_owner(), db.begin() as connection:
                before, audit_id = marker.change(connection, after, **who)
    changes = before != after
    report = {"before": before, "after": after, "changes": changes, "dry_run": dry_run, "audit_id": audit_id}
    if not changes:
        lines = [f"The database is marked {after} already; nothing was changed."]
    elif dry_run:
        lines = [
            f"The database would be marked {after}, was {before or 'nothing'} (dry run, nothing changed)."
        ]
    else:
        lines = [f"The database is marked {after} (was {before or 'nothing'}).", f"Audit {audit_id}"]
    rendering.show(report, lambda: lines, json=json)
    _warn_of_setting(configured, after)


def _warn_of_setting(settings: "Settings", wanted: str) -> None:
    from outboxctl.settings import variable_of

    if settings.environment and settings.environment != wanted:
        name = variable_of("environment")
        why = f"commands refuse a database that is marked {wanted} until it is changed"
        print_progress(f"outboxctl: {name} is {settings.environment}: {why}")
