"""`failed undo`: a replay taken back."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

from outboxctl.cli import parse, rendering
from outboxctl.cli.failed.moves import MoveWords, leave, perform
from outboxctl.cli.guards import reading
from outboxctl.cli.options import By, DryRun, Json, Reason, Yes, settings
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.database import Connection
    from outboxctl.core.operator.audit import AuditRow
    from outboxctl.operations.batches import Outcome

UNDO = MoveWords("undo", "undone", "went back to failed", "would go back to failed")


def undo(
    audit_id: Annotated[
        str,
        parse.argument("AUDIT_ID", parse.uuid, help="The replay's id, from its output or from `audit`."),
    ],
    by: By,
    reason: Reason,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take a replay back: what has not been delivered since is failed again, as it was.

    What a worker holds or has delivered stays, and is counted. Audited like the replay.

    Example: outboxctl failed undo 49a5f2c3-f5c8-4a11-bf90-2682d89d5cf7 --by alice --reason typo --dry-run
    """
    from outboxctl.core.operator import audit, moves

    configured, outcome, waiting = settings(), None, list[str]()
    with reading(configured) as connection:
        act, batches = _undoable(connection, audit_id)
    if not dry_run:
        steps = [partial(moves.undo, batch=batch, undoes=audit_id, by=by, reason=reason) for batch in batches]
        outcome = perform(configured, UNDO, steps, act.affected, of=f"the replay {audit_id}", yes=yes)
    with reading(configured) as connection:
        now = audit.states_of(connection, audit_id)
        if dry_run:
            waiting = [event.id for event in audit.events_of(connection, audit_id) if event.now == "pending"]
    ids = waiting if outcome is None else outcome.ids
    report = UNDO.report(sum(now.values()), ids, outcome)
    report |= {"now": now, "replayed_by": act.operator, "replayed_logged_in_as": act.logged_in_as}
    rendering.show(report, lambda: _lines(act, now, ids, outcome), json=json)
    leave(outcome)


def _undoable(connection: "Connection", id_: str) -> "tuple[AuditRow, list[str]]":
    """A replay and its batches. Raises UsageError for any other action."""
    from outboxctl.core.operator import audit, moves

    act = audit.action_by_id(connection, id_)
    if act.action != "replay":
        raise UsageError(f"{id_} is a {act.action}: only a replay can be undone")
    batches = moves.replay_batches(connection, id_)
    if not batches:
        raise UsageError(f"{id_} cannot be undone: it kept nothing of what the events held before")
    return act, batches


def _lines(
    act: "AuditRow", now: dict[str, int], ids: list[str], outcome: "Outcome | None"
) -> "Iterator[object]":
    login = f", logged in as {brief(act.logged_in_as, 130)}" if act.logged_in_as else ""
    yield f"The replay was by {brief(act.operator, 120)}{login}."
    yield f"{sum(now.values()):,} events were replayed; {UNDO.outcome(len(ids), outcome)}"
    if outcome and outcome.interrupted:
        yield "Interrupted: whole batches are done. Run it again to go on."
    yield rendering.counts("Events now", ("now", "events"), now)
    if outcome and outcome.audit_id:
        yield f"Audit {outcome.audit_id}"
