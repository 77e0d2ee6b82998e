"""`replay` and `replay undo`: failed events back to pending, and back again."""

from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import complete
from outboxctl.cli.guards import Yes, reading
from outboxctl.cli.moving import Words, leave, move, order, perform
from outboxctl.cli.options import DatabaseUrl, Json, settings
from outboxctl.cli.selection import (
    AtMost,
    By,
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
    Why,
    selection,
)
from outboxctl.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from outboxctl.acts.carry_out import Outcome

app = typer.Typer(invoke_without_command=True, subcommand_metavar="[undo AUDIT_ID]")
REPLAY = Words("replay", "replayed", "went back to pending", "would go back to pending")
UNDO = Words("undo", "undone", "went back to failed", "would go back to failed")
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
    from outboxctl.core import replay as replays

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
    move(REPLAY, replays.apply, chosen, asked, settings(database_url=database_url))


@app.command()
def undo(
    audit_id: Annotated[
        str,
        typer.Argument(
            metavar="AUDIT_ID",
            help="The replay's id, from its output or from `audit`.",
            autocompletion=complete.replays,
        ),
    ],
    by: By,
    reason: Why,
    dry_run: DryRun = False,
    rate: Rate = None,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Take a replay back: what has not been delivered since is failed again, as it was.

    What a worker holds or has delivered stays, and is counted. Audited like the replay.

    Example: outboxctl replay undo 8c5e… --by alice --reason "wrong filter" --dry-run
    """
    from outboxctl.acts.carry_out import undoing
    from outboxctl.cli import parse
    from outboxctl.core import undo as undos

    asked = order(by=by, reason=reason, dry_run=dry_run, rate=rate, yes=yes, fail_if_none=False, json=json)
    act, given = parse.uuid("AUDIT_ID", audit_id), settings(database_url=database_url)
    with reading(given) as connection:
        batches = _batches(connection, act)
        waiting = undos.undoable(connection, act)
    outcome = None
    if not dry_run:
        steps = undoing(act, batches, by=asked.by, reason=asked.reason)
        outcome = perform(UNDO, steps, len(waiting), asked, given)
    with reading(given) as connection:
        _show_undo(connection, act, waiting, outcome, json=json)
    leave(outcome, none=False)


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


def _batches(connection: "Connection", act: str) -> list[str]:
    """The batches of a replay that can be undone. Raises UsageError for any other act."""
    from outboxctl.core import trail
    from outboxctl.core import undo as undos

    found = trail.act(connection, act)
    if found is None:
        raise UsageError(f"there is no act {act} in the audit", hint="`outboxctl audit` lists them")
    if found.action != "replay":
        raise UsageError(f"{act} is a {found.action}: only a replay can be undone")
    batches = undos.batches(connection, act)
    if not batches:
        raise UsageError(f"{act} cannot be undone: it kept nothing of what the events said before")
    return batches


def _show_undo(
    connection: "Connection", act: str, waiting: list[str], outcome: "Outcome | None", *, json: bool
) -> None:
    from collections import Counter

    from outboxctl.cli import render
    from outboxctl.core import trail

    now = Counter(event.now for event in trail.events(connection, act))
    ids = waiting if outcome is None else outcome.ids
    audit_id, interrupted = (outcome.audit_id, outcome.interrupted) if outcome else (None, False)
    if json:
        count = {"selected": len(waiting)} | ({} if outcome is None else {"undone": len(ids)})
        report = {"matched": now.total(), **count, "dry_run": outcome is None, "ids": ids}
        render.emit_json(report | {"audit_id": audit_id, "interrupted": interrupted, "now": now})
        return
    out = render.console()
    said = UNDO.did if outcome else f"{UNDO.would} (dry run, nothing changed)"
    out.print(f"{now.total():,} events were replayed; {len(ids):,} {said}.")
    if interrupted:
        out.print("Interrupted: whole batches are done. Run it again to go on.")
    out.print(render.counts("Where they are now", ("now", "events"), dict(now.most_common())))
    if audit_id:
        out.print(f"Audit {audit_id}")
