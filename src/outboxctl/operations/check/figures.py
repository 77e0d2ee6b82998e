"""The figures of an outbox, each with its limit, what it means and the command that shows more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from shlex import quote

from outboxctl.core.database import Connection
from outboxctl.core.stats import counts, snapshot
from outboxctl.core.stats.counts import InVain, oldest_in_vain
from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.domain.printable import brief, counted
from outboxctl.operations.check.sample_comparison import Drift

# Of a projection, by the name of the figure.
VALUES = {"lag": "lag", "oldest": "oldest_age_seconds", "stuck": "stuck", "failed": "failed"}


@dataclass(frozen=True)
class CheckLimits:
    """The highest figures that pass, None for any. Ages and the window are in seconds."""

    oldest_age: float
    stuck: int = 0
    failed: int | None = None
    lag: int | None = None
    failed_growth: int | None = 0
    window: float = 300.0
    no_success: float | None = 45.0
    away: float = 10.0


@dataclass(frozen=True)
class CheckFacts:
    """What was read in one transaction; `grown` is the number of events that failed within the window.

    `waiting`: whether any event is to be delivered, also one that waits for its next attempt. `in_vain`: the
    oldest that was tried and is not done.
    """

    status: PipelineStatus
    due: bool
    waiting: bool
    grown: int
    in_vain: InVain | None = None


@dataclass(frozen=True)
class CheckedFigure:
    """One figure and the highest value that passes; `value` is None where it is unknown.

    `meaning` is a sentence with `{}` in place of the value. Where projections are in force, `projection` is
    the one that has most of a figure of events; the value is that of all of them.
    """

    name: str
    value: float | None
    limit: float | None
    meaning: str
    help: str
    unit: str = ""
    projection: str = ""

    @property
    def well(self) -> bool:
        """Whether it is within its limit; an unknown value is not."""
        return self.limit is None or (self.value is not None and self.value <= self.limit)

    @property
    def shown(self) -> str:
        """Its value for people."""
        if self.value is None:
            return "an unknown time" if self.unit else "an unknown number"
        return f"{self.value:.1f} s" if self.unit == "s" else f"{self.value:,}"

    @property
    def message(self) -> str:
        """What it means, its value in it; at most 300 characters."""
        return brief(self.meaning.replace("{}", self.shown, 1), 300)

    @property
    def line(self) -> str:
        """A line of a report: what it means, its limit, and what to run. Monitoring splits lines at bars."""
        limit = number(self.limit, "none")
        return f"{self.name}: {self.message.replace('|', '/')} (limit {limit}); run: {self.help}"


def number(value: float | None, unknown: str) -> str:
    """At most three decimals, none that are zero."""
    return unknown if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def read(connection: Connection, limits: CheckLimits, *, max_processing: float) -> CheckFacts:
    """Read all figures of the database; the cost does not grow with the number of done rows."""
    return CheckFacts(
        snapshot.pipeline_status(connection, max_processing=max_processing),
        snapshot.anything_due(connection),
        snapshot.anything_waiting(connection),
        counts.failed_within(connection, limits.window),
        oldest_in_vain(connection),
    )


def judge(facts: CheckFacts, limits: CheckLimits, drift: Drift | None = None) -> list[CheckedFigure]:
    """Every figure with its limit; `drift` where a sample was taken."""
    away, refused = _away(facts, limits), _in_vain(facts, limits)
    unattended, nothing = _unattended(facts), _no_success(facts, limits)
    # Of one outage one figure is the finding, the one that says most.
    all_away = sum(each.events for each in facts.status.away) >= facts.status.lag
    if not away.well and (not away.projection or all_away):
        nothing = replace(nothing, limit=None)
    if not nothing.well or (not away.well and away.projection in {"", refused.projection}):
        refused = replace(refused, limit=None)
    sampled = [_drift(drift)] if drift else []
    return [*_events(facts, limits), away, refused, unattended, nothing, *sampled]


def notes(figures: Sequence[CheckedFigure]) -> list[CheckedFigure]:
    """Figures without a limit that are shown all the same: events that failed before the window."""
    grown = sum(figure.value or 0 for figure in figures if figure.name == "failed_growth")
    unlimited = (figure for figure in figures if figure.name == "failed" and figure.limit is None)
    return [figure for figure in unlimited if (figure.value or 0) > grown]


def _events(facts: CheckFacts, limits: CheckLimits) -> list[CheckedFigure]:
    status, failed = facts.status, "outboxctl failed list"
    lag, oldest = "{} events wait or are under way", "the oldest event has waited for {}"
    grown, age = f"{{}} events failed within the last {limits.window:g} s", status.oldest_age_seconds
    whole = [
        CheckedFigure("lag", status.lag, limits.lag, lag, "outboxctl status"),
        CheckedFigure("oldest", age, limits.oldest_age, oldest, "outboxctl oldest", "s"),
        CheckedFigure("stuck", status.stuck, limits.stuck, "{} events are stuck", "outboxctl stuck"),
        CheckedFigure("failed", status.status["failed"], limits.failed, "{} events failed for good", failed),
    ]
    figures = [_worst(figure, status) for figure in whole]
    return [*figures, CheckedFigure("failed_growth", facts.grown, limits.failed_growth, grown, failed)]


def _away(facts: CheckFacts, limits: CheckLimits) -> CheckedFigure:
    """How long the search engine, or else the index or view of a projection, has taken nothing."""
    if not (away := facts.status.away):
        return CheckedFigure("away", 0.0, limits.away, "nothing is away", "outboxctl doctor", "s")
    first, others = away[0], f" (and {len(away) - 1} more)" if len(away) > 1 else ""
    whom = f"projection {brief(first.projection, 50)}" if first.projection else "the search engine"
    meaning = (
        f"{whom} has been away for {{}} ({brief(first.reason, 80)}): {counted(first.events, 'event')} wait"
    )
    help_, of = "outboxctl doctor", first.projection or ""
    return CheckedFigure("away", first.seconds, limits.away, meaning + others, help_, "s", of)


def _in_vain(facts: CheckFacts, limits: CheckLimits) -> CheckedFigure:
    """How long one event has been tried: of one shard or projection, while others are delivered."""
    oldest, limit, help_ = facts.in_vain, limits.no_success, "outboxctl doctor"
    if oldest is None:
        return CheckedFigure("in_vain", 0.0, limit, "no event is tried in vain", help_, "s")
    of = f", projection {brief(oldest.projection, 50)}" if facts.status.declared else ""
    meaning = f"an event that was made {{}} ago is tried in vain ({brief(oldest.reason, 80)}{of})"
    return CheckedFigure("in_vain", oldest.age_seconds, limit, meaning, help_, "s", oldest.projection)


def _worst(whole: CheckedFigure, status: PipelineStatus) -> CheckedFigure:
    """The figure, still of all projections, with the name of the one that has most of it, if declared."""
    if not status.declared:
        return whole
    value = attrgetter(VALUES[whole.name])
    worst = max(status.projections, key=value)
    name, most = brief(worst.name, 50), value(worst)
    if most < (whole.value or 0):
        meaning, help_ = f"{whole.meaning} (most of them in projection {name})", whole.help
    else:
        meaning, help_ = f"{whole.meaning} (projection {name})", f"{whole.help} --projection {quote(name)}"
    return replace(whole, meaning=meaning, help=help_, projection=worst.name)


def _unattended(facts: CheckFacts) -> CheckedFigure:
    unattended = facts.due and not any(worker.alive for worker in facts.status.workers)
    waiting, meaning = facts.status.lag if unattended else 0, "{} events wait and no worker is alive"
    return CheckedFigure("unattended", waiting, 0, meaning, "outboxctl worker")


def _no_success(facts: CheckFacts, limits: CheckLimits) -> CheckedFigure:
    """How long events have waited without a success of any worker; without a live one, see `unattended`."""
    ages = [worker.progress_age_seconds for worker in facts.status.workers if worker.alive]
    known = [age for age in ages if age is not None]
    complete = facts.waiting and known and len(known) == len(ages)
    meaning = "events wait, and none was delivered for {}"
    value = min(known) if complete else 0.0
    return CheckedFigure("no_success", value, limits.no_success, meaning, "outboxctl doctor", "s")


def _drift(drift: Drift) -> CheckedFigure:
    """Unknown where a projection could not be compared, and none of the others differs."""
    example = f" (such as {drift.differing[0]})" if drift.differing else ""
    meaning = "; ".join(
        [f"{{}} of {drift.sampled} sampled entities differ in the index{example}", *drift.problems]
    )
    value = None if drift.problems and not drift.differing else len(drift.differing)
    help_ = "outboxctl doctor" if drift.problems else "outboxctl verify"
    return CheckedFigure("drift", value, 0, meaning, help_)
