"""Moving failed events to another status: a plan or an action, and its report."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from outboxctl.cli import rendering
from outboxctl.cli.ending import INTERRUPTED
from outboxctl.cli.guards import acting, reading
from outboxctl.cli.options import settings
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from outboxctl.core.database import Database
    from outboxctl.core.operator.selection import MovePlan, Selection
    from outboxctl.operations.failed.apply import Apply, Outcome, Step

SHOWN, CAUSES = 5, 20  # ids and causes that a person sees; --json has them all


@dataclass(frozen=True)
class MoveWords:
    """The texts of a move: `replay`, `replayed`, `went back to pending`, `would go back to pending`."""

    verb: str
    participle: str
    did: str
    would: str


def move(
    words: MoveWords,
    apply: "Apply",
    chosen: "Selection",
    who: dict[str, str],
    *,
    dry_run: bool,
    yes: bool,
    json: bool,
    rate: float | None = None,
) -> None:
    """Plan; then show the plan, or carry it out and show what was done. Exits 130 if interrupted."""
    from outboxctl.core.operator.selection import plan
    from outboxctl.operations.batches import size
    from outboxctl.operations.failed.apply import Outcome, moves

    configured = settings()
    with reading(configured) as connection:
        planned = plan(connection, chosen)
    outcome = None if dry_run else Outcome([], None)
    if planned.ids and not dry_run:  # without events nothing changes, and nothing is to be confirmed
        steps = moves(apply, planned, rate=rate, **who)
        with acting(configured, f"{words.verb} {counted(len(planned.ids), 'event')}", yes=yes) as db:
            outcome = perform(db, words, steps, len(planned.ids), rate=rate)
    untried = len(planned.ids[outcome.tried * size(rate) :]) if outcome else 0
    rendering.show(
        _report(words, planned, outcome),
        lambda: _lines(words, planned, outcome, untried),
        json=json,
    )
    leave(outcome)


def perform(
    db: "Database", words: MoveWords, steps: "Iterable[Step]", total: int, *, rate: float | None = None
) -> "Outcome":
    """Carry out the steps with a progress bar; ^C ends it after the current batch."""
    from outboxctl.operations.batches import stoppable
    from outboxctl.operations.failed.apply import carry_out

    try:
        with rendering.progress(words.verb, total) as advance, stoppable() as stop:
            return carry_out(db, steps, stop=stop, rate=rate, advance=advance)
    except KeyboardInterrupt as second:  # after the first the current batch is finished
        typer.echo(f"outboxctl: {second}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def leave(outcome: "Outcome | None") -> None:
    """End with the code of ^C where it was interrupted."""
    if outcome and outcome.interrupted:
        raise typer.Exit(INTERRUPTED)


def _report(words: MoveWords, plan: "MovePlan", outcome: "Outcome | None") -> dict[str, Any]:
    ids = plan.ids if outcome is None else outcome.ids
    count = {"selected": len(plan.ids)} | ({} if outcome is None else {words.participle: len(ids)})
    report = {"matched": plan.matched, **count, "dry_run": outcome is None, "ids": ids}
    report |= {"audit_id": outcome and outcome.audit_id, "interrupted": bool(outcome and outcome.interrupted)}
    report |= {"failed_again": plan.failed_again, "by_reason": plan.by_reason}
    return report | {"causes": [asdict(cause) for cause in plan.causes]}


def _lines(words: MoveWords, plan: "MovePlan", outcome: "Outcome | None", untried: int) -> Iterable[Any]:
    """Details first, the totals last: on a small screen the last lines stay visible."""
    ids = plan.ids if outcome is None else outcome.ids
    if ids:
        yield from _details(plan, ids)
    did = words.did if outcome else f"{words.would} (dry run, nothing changed)"
    match = "matches" if plan.matched == 1 else "match"
    yield f"{counted(plan.matched, 'failed event')} {match}; {len(ids):,} {did}."
    if outcome and outcome.interrupted:
        yield f"Interrupted: whole batches are done, {untried:,} were not tried. Run it again to go on."
    if outcome and (taken := len(plan.ids) - len(ids) - untried):
        yield f"{taken:,} were taken by somebody else meanwhile."
    if plan.failed_again:
        yield f"{plan.failed_again:,} of them had been replayed before and failed again."
    if outcome and ids:
        yield f"Audit {outcome.audit_id}"


def _details(plan: "MovePlan", ids: Sequence[str]) -> Iterable[Any]:
    rows = [(c.fingerprint, c.error_reason, f"{c.count:,}", c.sample) for c in plan.causes]
    title = "By cause" if len(ids) == len(plan.ids) else "By cause, all that were selected"
    yield rendering.table(title, ("fingerprint", "reason", "events", "error"), rows[:CAUSES])
    if len(rows) > CAUSES:
        yield f"and {len(rows) - CAUSES:,} more causes"
    more = f"\nand {len(ids) - SHOWN:,} more (--json lists all)" if len(ids) > SHOWN else ""
    yield "\n".join(ids[:SHOWN]) + more + "\n"
