"""Moving failed events to another status: how they are chosen, a plan or an act, and its report."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.ending import INTERRUPTED
from outboxctl.cli.guards import acting, reading
from outboxctl.cli.options import settings
from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import NO_REASON, Reason
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from outboxctl.core.operator.selection import MovePlan, Selection
    from outboxctl.operations.batches import Outcome, Step
    from outboxctl.settings import Settings

SHOWN, CAUSES = 5, 20  # ids and causes that a person sees; --json has them all
REASONS = [*Reason, NO_REASON]


def _reasons(incomplete: str) -> list[str]:
    """What the shell offers after Tab."""
    return [str(reason) for reason in REASONS if reason.startswith(incomplete)]


Ids = Annotated[list[str] | None, parse.option("--id", parse.uuid, help="Only this event; repeatable.")]
OfReason = Annotated[
    str | None,
    parse.option(
        "--error-reason",
        parse.one_of,
        REASONS,
        "reason",
        help="Only this reason, such as mapping or connect; none for rows without one.",
        autocompletion=_reasons,
    ),
]
OfCause = Annotated[
    str | None,
    parse.option("--fingerprint", parse.fingerprint, help="Only this cause: its fingerprint in failed list."),
]
Since = Annotated[
    datetime | None,
    parse.option("--since", parse.moment, help="Created at or after (ISO 8601; UTC if no zone)."),
]
Until = Annotated[
    datetime | None, parse.option("--until", parse.moment, help="Created before (ISO 8601; UTC if no zone).")
]
AtMost = Annotated[
    int | None, typer.Option("--limit", min=1, max=2**63 - 1, help="At most this many, oldest first.")
]


def selection(ids: list[str] | None, *conditions: Any) -> "Selection":
    """The fields of a Selection, each id once; UsageError for two times that exclude each other."""
    from outboxctl.core.operator.selection import Selection

    chosen = Selection(ids and list(dict.fromkeys(ids)), *conditions)
    if chosen.since and chosen.until and chosen.since >= chosen.until:
        times = f"--since {chosen.since.isoformat()} is not before --until {chosen.until.isoformat()}"
        raise UsageError(f"{times}: no event can be both")
    return chosen


@dataclass(frozen=True)
class MoveWords:
    """The texts of a move: `replay`, `replayed`, `went back to pending`, `would go back to pending`."""

    verb: str
    participle: str
    did: str
    would: str

    def outcome(self, count: int, outcome: "Outcome | None") -> str:
        """How many were moved, or would be."""
        return f"{count:,} {self.did if outcome else f'{self.would} (dry run, nothing changed)'}."

    def report(self, matched: int, ids: Sequence[str], outcome: "Outcome | None") -> dict[str, Any]:
        """What every move reports as JSON."""
        done = {"selected": len(ids)} if outcome is None else {self.participle: len(ids)}
        interrupted = bool(outcome and outcome.interrupted)
        report = {"matched": matched, **done, "dry_run": outcome is None, "ids": ids}
        return report | {"audit_id": outcome and outcome.audit_id, "interrupted": interrupted}


def move(
    words: MoveWords,
    apply: "Callable[..., list[str]]",
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
    from outboxctl.operations.batches import Outcome, moves, size

    configured = settings()
    with reading(configured) as connection:
        planned = plan(connection, chosen)
    outcome = None if dry_run else Outcome([], None)
    if planned.ids and not dry_run:  # without events nothing changes, and nothing is to be confirmed
        steps, total = moves(apply, planned, rate=rate, **who), len(planned.ids)
        outcome = perform(configured, words, steps, total, of=counted(total, "event"), rate=rate, yes=yes)
    ids = planned.ids if outcome is None else outcome.ids
    untried = len(planned.ids[outcome.tried * size(rate) :]) if outcome else 0
    report = {"selected": len(planned.ids)} | words.report(planned.matched, ids, outcome)
    causes = [asdict(cause) for cause in planned.causes]
    report |= {"failed_again": planned.failed_again, "causes": causes}
    rendering.show(report, lambda: _lines(words, planned, ids, outcome, untried), json=json)
    leave(outcome)


def perform(
    settings: "Settings",
    words: MoveWords,
    steps: "Sequence[Step]",
    total: int,
    *,
    of: str,
    yes: bool,
    rate: float | None = None,
) -> "Outcome":
    """Carry out the steps with a progress bar; ^C ends it after the current batch."""
    from outboxctl.operations.batches import carry_out, stoppable

    with acting(settings, f"{words.verb} {of}", yes=yes) as db:
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


def _lines(
    words: MoveWords, plan: "MovePlan", ids: Sequence[str], outcome: "Outcome | None", untried: int
) -> Iterable[Any]:
    """Details first, the totals last: on a small screen the last lines stay visible."""
    if ids:
        yield from _details(plan, ids)
    match = "matches" if plan.matched == 1 else "match"
    yield f"{counted(plan.matched, 'failed event')} {match}; {words.outcome(len(ids), outcome)}"
    if outcome and outcome.interrupted:
        yield f"Interrupted: whole batches are done, {untried:,} were not tried. Run it again to go on."
    if outcome and (taken := len(plan.ids) - len(ids) - untried):
        yield f"{taken:,} were taken by somebody else meanwhile."
    if plan.failed_again:
        yield f"{plan.failed_again:,} of them had been replayed before and failed again."
    if outcome and ids:
        yield f"Audit {outcome.audit_id}"


def _details(plan: "MovePlan", ids: Sequence[str]) -> Iterable[Any]:
    from outboxctl.cli.failed.view import cause

    yield "By cause:" if len(ids) == plan.matched else "By cause, all that match:"
    yield from map(cause, plan.causes[:CAUSES])
    yield f"and {len(plan.causes) - CAUSES:,} more causes" if len(plan.causes) > CAUSES else ""
    more = f"\nand {len(ids) - SHOWN:,} more (--json lists all)" if len(ids) > SHOWN else ""
    yield "\n".join(ids[:SHOWN]) + more + "\n"
