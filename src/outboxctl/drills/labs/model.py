"""The record of a lab and of a run of labs as plain data: the content of `report.json`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from outboxctl.core.stats.drill_snapshot import EventCounts
from outboxctl.core.stats.snapshot import PipelineStatus


class LabVerdict(StrEnum):
    """The result of a lab, the least bad first."""

    OK = "OK"
    INCONCLUSIVE = "INCONCLUSIVE"
    FAIL = "FAIL"

    @classmethod
    def worst(cls, verdicts: Iterable["LabVerdict"]) -> "LabVerdict":
        """The worst of them; INCONCLUSIVE if there is none."""
        order = list(cls)
        return max(verdicts, key=order.index, default=cls.INCONCLUSIVE)


class LabPhase(StrEnum):
    """The phases of a lab, in their order. UNDO runs whatever happened before."""

    PREPARE = "prepare"
    STEADY = "steady state"
    INJECT = "inject"
    OBSERVE = "observe"
    UNDO = "undo"
    RECOVER = "recover"
    CHECK = "check"


class RunState(StrEnum):
    """Whether a run came to its end. INTERRUPTED: a signal or a crash ended it before."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class LabCheck:
    """An observed value against the expected one.

    `verdict` where they differ: INCONCLUSIVE if the experiment was not valid (no steady state, a fault
    without effect, too few events), FAIL if the hypothesis is wrong.
    """

    phase: LabPhase
    name: str
    expected: str
    seen: str
    verdict: LabVerdict


@dataclass(frozen=True)
class Window:
    """A fault: when it began and when it was undone (None: not yet), in seconds of the lab."""

    fault: str
    began: float
    ended: float | None


@dataclass(frozen=True)
class LabSample:
    """The counts of events at this second of the lab."""

    at: float
    look: EventCounts


@dataclass(frozen=True)
class Snapshot:
    """The document's queries before (A), during (B) and after (C) the fault, and each worker's `metrics`.

    Of the metrics the series that are not 0, a line each.
    """

    label: str
    at: float
    standing: PipelineStatus
    metrics: dict[str, list[str]]


@dataclass(frozen=True)
class Line:
    """Something the lab did or observed, at this second of it; or that a phase began."""

    at: float
    text: str
    phase: bool = False


@dataclass
class Record:
    """One run of one lab, filled while it runs.

    `why` is the reason of the verdict in a sentence; `interrupted` the phase in which the run was ended
    from outside. `conclusion` has the fields of the document's, filled in. `logs` are file names in the
    lab's folder.
    """

    lab: str
    started_at: str
    settings: dict[str, str] = field(default_factory=dict)
    verdict: LabVerdict = LabVerdict.INCONCLUSIVE
    why: str = ""
    seconds: float = 0.0
    interrupted: LabPhase | None = None
    checks: list[LabCheck] = field(default_factory=list)
    conclusion: dict[str, str] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    samples: list[LabSample] = field(default_factory=list)
    timeline: list[Line] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)

    @property
    def unmet(self) -> list[LabCheck]:
        """The unmet checks, those that refute the hypothesis first."""
        worst_first = (LabVerdict.FAIL, LabVerdict.INCONCLUSIVE)
        return [check for verdict in worst_first for check in self.checks if check.verdict is verdict]


@dataclass(frozen=True)
class LabRun:
    """Several labs, run together; `versions` by role."""

    started_at: str
    seconds: float
    verdict: LabVerdict
    versions: dict[str, str]
    records: list[Record]
    state: RunState = RunState.FINISHED
