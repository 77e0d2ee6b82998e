"""`failed undo`: a replay taken back."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

from outboxctl.cli import parse, rendering
from outboxctl.cli.failed.moves import MoveWords, leave, perform
from outboxctl.cli.guards import reading
from outboxctl.cli.options import By, Json, Reason, Yes, settings
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.operator.audit import AuditRow
    from outboxctl.operations.batches import Outcome

UNDO = MoveWords("undo", "undone", "went back to failed", "would go back to failed")


def undo(
    audit_id: Annotated[
        str, parse.argument("AUDIT_ID", parse.uuid, help="The replay's id, from its output or from `audit`.")
    ],
    by: By,
    reason: Reason,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take a replay back: what has not been delivered since is failed again, as it was.

    What a worker holds or has delivered stays, and is counted; `audit --id` shows it before. Audited like
    the replay.

    Example: outboxctl failed undo 49a5f2c3-f5c8-4a11-bf90-2682d89d5cf7 --by alice --reason typo
    """
    from outboxctl.core.operator import audit, moves

    configured = settings()
    with reading(configured) as connection:
        act = audit.action_by_id(connection, audit_id)
        if act.action != "replay":
            raise UsageError(f"{audit_id} is a {act.action}: only a replay can be undone")
        batches = moves.replay_batches(connection, audit_id)
    steps = [partial(moves.undo, batch=batch, undoes=audit_id, by=by, reason=reason) for batch in batches]
    outcome = perform(configured, UNDO, steps, act.affected, of=f"the replay {audit_id}", yes=yes)
    with reading(configured) as connection:
        now = audit.states_of(connection, audit_id)
    report = UNDO.report(sum(now.values()), outcome.ids, outcome)
    report |= {"now": now, "replayed_by": act.operator}
    rendering.show(report, lambda: _lines(act, now, outcome), json=json)
    leave(outcome)


def _lines(act: "AuditRow", now: dict[str, int], outcome: "Outcome") -> "Iterator[object]":
    yield f"The replay was by {brief(act.operator, 120)}."
    yield f"{sum(now.values()):,} events were replayed; {UNDO.outcome(len(outcome.ids), outcome)}"
    if outcome.interrupted:
        yield "Interrupted: whole batches are done. Run it again to go on."
    yield rendering.counts("Events now", ("now", "events"), now)
    if outcome.audit_id:
        yield f"Audit {outcome.audit_id}"
