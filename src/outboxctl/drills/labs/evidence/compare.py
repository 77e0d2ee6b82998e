"""What got worse from one run to another, by more than noise."""

from dataclasses import dataclass

from outboxctl.domain.errors import UsageError
from outboxctl.drills.labs.evidence.model import LabReport, RunReport
from outboxctl.drills.labs.model import LabVerdict

# Noise of two runs on one machine: a share of the smaller figure, and an amount in its own unit (a sample
# is taken each 0.25 s).
RELATIVE = 0.2
ABSOLUTE = {
    "recovery_seconds": 0.5,
    "peak_lag": 10.0,
    "oldest_age_seconds": 0.5,
    "attempts": 10.0,
    "throughput": 10.0,
}
MORE_IS_BETTER = {"throughput"}


@dataclass(frozen=True)
class Change:
    """A verdict (`what` is `verdict`) or a figure that has changed."""

    lab: str
    what: str
    old: str | float
    new: str | float
    worse: bool


@dataclass(frozen=True)
class RunComparison:
    """Two runs: `gone` and `added` are labs of only one, `compared` counts the others.

    `versions` are those that differ, old and new.
    """

    old: str
    new: str
    compared: int
    changes: list[Change]
    gone: list[str]
    added: list[str]
    versions: dict[str, tuple[str, str]]

    @property
    def worse(self) -> bool:
        """Whether anything got worse."""
        return any(change.worse for change in self.changes)


def compare(old: RunReport, new: RunReport) -> RunComparison:
    """Lab by lab; figures only where both say OK. UsageError if just one is a control run."""
    if old.faults is not new.faults:
        raise UsageError("one of the runs is a control run (--no-fault)", hint="compare runs of one kind")
    before, after = {lab.name: lab for lab in old.labs}, {lab.name: lab for lab in new.labs}
    both = [name for name in before if name in after]
    names = [*new.versions, *(name for name in old.versions if name not in new.versions)]
    versions = {name: (old.versions.get(name, "-"), new.versions.get(name, "-")) for name in names}
    return RunComparison(
        old.started_at,
        new.started_at,
        len(both),
        [change for name in both for change in _changes(before[name], after[name])],
        [name for name in before if name not in after],
        [name for name in after if name not in before],
        {name: pair for name, pair in versions.items() if pair[0] != pair[1]},
    )


def _changes(old: LabReport, new: LabReport) -> list[Change]:
    was, now = old.record.verdict, new.record.verdict
    if was is not now:
        return [Change(old.name, "verdict", was, now, worse=LabVerdict.worst([was, now]) is now)]
    if now is not LabVerdict.OK:
        return []
    return [change for name in ABSOLUTE if (change := _change(old, new, name))]


def _change(old: LabReport, new: LabReport, name: str) -> Change | None:
    was, now = getattr(old.figures, name), getattr(new.figures, name)
    if was is None or now is None or abs(now - was) <= max(ABSOLUTE[name], RELATIVE * min(was, now)):
        return None
    return Change(old.name, name, was, now, worse=(now < was) if name in MORE_IS_BETTER else (now > was))
