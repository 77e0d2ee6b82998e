"""The figures of an outbox, each with its limit, what it means and the command that tells more."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from outboxctl.check.drift import Drift
from outboxctl.core import counts, snapshot
from outboxctl.core.snapshot import Standing
from outboxctl.wording import brief

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class Limits:
    """The highest figures that are still well, None for any. Ages and the window are in seconds."""

    oldest_age: float
    stuck: int = 0
    failed: int = 0
    lag: int | None = None
    failed_growth: int | None = None
    window: float = 300.0
    silence: float | None = None


@dataclass(frozen=True)
class Facts:
    """What was read in one transaction; `grown` are the events that failed within the window."""

    standing: Standing
    due: bool
    grown: int


@dataclass(frozen=True)
class Figure:
    """One figure and the highest that is well; `value` is None where nobody knows it.

    `meaning` is a sentence with `{}` in place of the value.
    """

    name: str
    value: float | None
    limit: float | None
    unit: str
    meaning: str
    help: str

    @property
    def well(self) -> bool:
        """Whether it keeps its limit; what nobody knows does not."""
        return self.limit is None or (self.value is not None and self.value <= self.limit)

    @property
    def shown(self) -> str:
        """Its value for people."""
        if self.value is None:
            return "an unknown time"
        return f"{self.value:.1f} s" if self.unit == "s" else f"{self.value:,}"

    @property
    def said(self) -> str:
        """What it means, its value in it; at most 300 characters."""
        return brief(self.meaning.replace("{}", self.shown, 1), 300)


def read(
    connection: "Connection", limits: Limits, *, max_processing: float, now: datetime | None = None
) -> Facts:
    """Read all that the database knows; cheap, whatever the number of done rows."""
    return Facts(
        snapshot.standing(connection, max_processing=max_processing, now=now),
        snapshot.anything_due(connection, now=now),
        counts.failed_within(connection, limits.window, now=now),
    )


def judge(facts: Facts, limits: Limits, drift: Drift | None = None) -> list[Figure]:
    """Every figure with its limit; `drift` where a sample was taken."""
    sampled = [_drift(drift)] if drift else []
    return [*_events(facts, limits), *_workers(facts, limits), *sampled]


def _events(facts: Facts, limits: Limits) -> list[Figure]:
    seen, failed = facts.standing, "outboxctl failed list"
    grown = f"{{}} events failed within the last {limits.window:g} s"
    return [
        _count("lag", seen.lag, limits.lag, "{} events wait or are under way", "outboxctl status"),
        Figure(
            "oldest",
            seen.oldest_age_seconds,
            limits.oldest_age,
            "s",
            "the oldest event has waited for {}",
            "outboxctl oldest",
        ),
        _count("stuck", seen.stuck, limits.stuck, "{} events are stuck", "outboxctl stuck"),
        _count("failed", seen.status["failed"], limits.failed, "{} events failed for good", failed),
        _count("failed_growth", facts.grown, limits.failed_growth, grown, failed),
    ]


def _workers(facts: Facts, limits: Limits) -> list[Figure]:
    workers = facts.standing.workers
    if workers is None:
        return []  # the schema is older than they are: `db check` says so
    ages = [each.heartbeat_age_seconds for each in workers if each.heartbeat_age_seconds is not None]
    unattended = facts.due and not any(worker.alive for worker in workers)
    waiting = facts.standing.lag if unattended else 0
    silence, start = "the last heartbeat of any worker was {} ago", "outboxctl worker"
    return [
        Figure("silence", min(ages, default=None), limits.silence, "s", silence, start),
        _count("unattended", waiting, 0, "{} events wait and no worker is alive", start),
    ]


def _drift(drift: Drift) -> Figure:
    meaning = f"{{}} of {drift.sampled} sampled entities differ in the index"
    example = f" (such as {drift.differing[0]})" if drift.differing else ""
    return _count("drift", len(drift.differing), 0, meaning + example, "outboxctl verify")


def _count(name: str, value: int, limit: int | None, meaning: str, help_: str) -> Figure:
    return Figure(name, value, limit, "", meaning, help_)
