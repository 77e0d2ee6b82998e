"""`replay undo`: a replay taken back, as far as nothing has been delivered since."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import completion
from outboxctl.cli.failed.moves import MoveWords, leave, order, perform
from outboxctl.cli.failed.selection import By, DryRun, Rate, Why
from outboxctl.cli.guards import Yes, acting, reading
from outboxctl.cli.options import DatabaseUrl, Json, settings
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from outboxctl.core.database import Connection
    from outboxctl.core.operator.audit import AuditRow
    from outboxctl.operations.failed.apply import Outcome

UNDO = MoveWords("undo", "undone", "went back to failed", "would go back to failed")


def undo(
    audit_id: Annotated[
        str,
        typer.Argument(
            metavar="AUDIT_ID",
            help="The replay's id, from its output or from `audit`.",
            autocompletion=completion.replays,
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

    Example: outboxctl replay undo 49a5f2c3-f5c8-4a11-bf90-2682d89d5cf7 --by alice --reason typo --dry-run
    """
    from outboxctl.cli import parse
    from outboxctl.core.operator import audit
    from outboxctl.operations.failed.apply import undoing

    asked = order(by=by, reason=reason, dry_run=dry_run, rate=rate, yes=yes, fail_if_none=False, json=json)
    act, given = parse.uuid("AUDIT_ID", audit_id), settings(database_url=database_url)
    outcome = None
    with reading(given) as connection:
        found, batches = _undoable(connection, act)
    if not dry_run:
        steps = undoing(act, batches, by=asked.by, reason=asked.reason)
        with acting(given, f"undo the replay {act}", yes=yes) as db:
            outcome = perform(db, UNDO, steps, found.affected, rate=rate)
    with reading(given) as connection:
        now = audit.states_of(connection, act)
        waiting = (
            [event.id for event in audit.events_of(connection, act) if event.now == "pending"]
            if dry_run
            else []
        )
    _show(found, now, waiting if outcome is None else outcome.ids, outcome, json=json)
    leave(outcome, none=False)


def _undoable(connection: "Connection", act: str) -> "tuple[AuditRow, list[str]]":
    """A replay and its batches. Raises UsageError for any other act."""
    from outboxctl.core.operator import audit, moves

    found = audit.action_by_id(connection, act)
    if found is None:
        raise UsageError(f"there is no act {act} in the audit", hint="`outboxctl audit` lists them")
    if found.action != "replay":
        raise UsageError(f"{act} is a {found.action}: only a replay can be undone")
    batches = moves.replay_batches(connection, act)
    if not batches:
        raise UsageError(f"{act} cannot be undone: it kept nothing of what the events said before")
    return found, batches


def _show(
    found: "AuditRow", now: dict[str, int], ids: list[str], outcome: "Outcome | None", *, json: bool
) -> None:
    from outboxctl.cli import rendering

    if json:
        whose = {"replayed_by": found.operator, "replayed_logged_in_as": found.logged_in_as}
        rendering.emit_json(_report(now, ids, outcome) | whose)
        return
    out = rendering.console()
    login = f", logged in as {brief(found.logged_in_as, 130)}" if found.logged_in_as else ""
    out.print(f"The replay was by {brief(found.operator, 120)}{login}.", markup=False)
    said = UNDO.did if outcome else f"{UNDO.would} (dry run, nothing changed)"
    out.print(f"{sum(now.values()):,} events were replayed; {len(ids):,} {said}.")
    if outcome and outcome.interrupted:
        out.print("Interrupted: whole batches are done. Run it again to go on.")
    out.print(rendering.counts("Events now", ("now", "events"), now))
    if outcome and outcome.audit_id:
        out.print(f"Audit {outcome.audit_id}")


def _report(now: dict[str, int], ids: list[str], outcome: "Outcome | None") -> dict[str, Any]:
    count = {"selected": len(ids)} if outcome is None else {"undone": len(ids)}
    report = {"matched": sum(now.values()), **count, "dry_run": outcome is None, "ids": ids, "now": now}
    audit_id, interrupted = (outcome.audit_id, outcome.interrupted) if outcome else (None, False)
    return report | {"audit_id": audit_id, "interrupted": interrupted}
