"""`replay`: failed events back to pending."""

from typing import Annotated

import typer

from outboxctl.cli.failed.moves import MoveWords, move, order
from outboxctl.cli.failed.selection import (
    AtMost,
    DryRun,
    EntityType,
    ErrorReason,
    FailIfNone,
    Fingerprint,
    Ids,
    IdsFrom,
    Rate,
    Since,
    Until,
    selection,
)
from outboxctl.cli.groups import FullHelpGroup
from outboxctl.cli.guards import Yes
from outboxctl.cli.options import DatabaseUrl, Json, settings
from outboxctl.cli.replay.undo import undo
from outboxctl.domain.errors import UsageError

app = typer.Typer(cls=FullHelpGroup, invoke_without_command=True, subcommand_metavar="[undo AUDIT_ID]")
REPLAY = MoveWords("replay", "replayed", "went back to pending", "would go back to pending")
app.command("undo")(undo)
# `replay undo` has its own: the group must not ask for them before it knows.
OurBy = Annotated[str | None, typer.Option("--by", help="Who does it (goes into the audit). Required.")]
OurWhy = Annotated[str | None, typer.Option("--reason", help="Why (goes into the audit). Required.")]


@app.callback()
def replay(
    context: typer.Context,
    by: OurBy = None,
    reason: OurWhy = None,
    limit: AtMost = None,
    dry_run: DryRun = False,
    id: Ids = None,  # noqa: A002 - the flag's name is the contract's
    ids_from: IdsFrom = None,
    error_reason: ErrorReason = None,
    fingerprint: Fingerprint = None,
    entity_type: EntityType = None,
    since: Since = None,
    until: Until = None,
    rate: Rate = None,
    fail_if_none: FailIfNone = False,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Put failed events back to pending, in whole batches, each audited in its own transaction.

    ^C ends it after the batch under way. `replay undo AUDIT_ID` takes back what is not delivered yet.

    Example: outboxctl replay --by alice --reason "fixed root cause" --limit 100 --dry-run
    """
    from outboxctl.core.operator import moves

    if context.invoked_subcommand:
        _only_of_the_subcommand(context)
        return
    chosen = selection(
        ids=id,
        ids_from=ids_from,
        error_reason=error_reason,
        fingerprint=fingerprint,
        entity_type=entity_type,
        since=since,
        until=until,
        limit=limit,
    )
    asked = order(
        by=_needed("--by", by),
        reason=_needed("--reason", reason),
        dry_run=dry_run,
        rate=rate,
        yes=yes,
        fail_if_none=fail_if_none,
        json=json,
    )
    move(REPLAY, moves.replay, chosen, asked, settings(database_url=database_url))


def _only_of_the_subcommand(context: typer.Context) -> None:
    """Raise UsageError for options before it: they would be silently left out."""
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if (source := context.get_parameter_source(parameter.name or "")) and source.name == "COMMANDLINE"
    ]
    if given:
        name = context.invoked_subcommand
        raise UsageError(
            f"{', '.join(given)} before {name}", hint=f"its options go after it: replay {name} …"
        )


def _needed(flag: str, value: str | None) -> str:
    if value is None:
        raise UsageError(f"{flag} is missing", hint=f"it goes into the audit: {flag} '…'")
    return value
