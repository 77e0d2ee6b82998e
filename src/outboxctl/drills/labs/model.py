"""What a lab says and what comes of it: phases, checks, samples, verdict. Plain data, ready for JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from outboxctl.core.stats.drill_snapshot import EventCounts
from outboxctl.core.stats.snapshot import PipelineStatus


class LabVerdict(StrEnum):
    """How a lab ended. FAIL stands over INCONCLUSIVE, and INCONCLUSIVE over OK."""

    OK = "OK"
    INCONCLUSIVE = "INCONCLUSIVE"
    FAIL = "FAIL"

    @classmethod
    def worst(cls, verdicts: Iterable["LabVerdict"]) -> "LabVerdict":
        """The one that stands over all others; nothing at all is inconclusive."""
        order = list(cls)
        return max(verdicts, key=order.index, default=cls.INCONCLUSIVE)


class LabPhase(StrEnum):
    """The phases of a lab, in their order. UNDO comes whatever happened before."""

    PREPARE = "prepare"
    STEADY = "steady state"
    INJECT = "inject"
    OBSERVE = "observe"
    UNDO = "undo"
    RECOVER = "recover"
    CHECK = "check"


class Need(StrEnum):
    """What a lab needs of the place where it runs; without it the lab is INCONCLUSIVE."""

    REAL_ENGINE = "a real Elasticsearch"
    OWN_ENGINE = "a search engine of its own to stop"
    PRIVATE_DATABASE = "a database of its own, to change its settings and end its sessions"
    OWN_DATABASE = "a PostgreSQL server of its own to restart"


@dataclass(frozen=True)
class BilingualText:
    """A text in English and in Chinese."""

    en: str
    zh: str


@dataclass(frozen=True)
class LabCheck:
    """One thing that was seen, against what had to be seen.

    `verdict` of one that was not met: INCONCLUSIVE where it shows that the experiment was none (no
    steady state, a fault that did not take hold, too few events), FAIL where the hypothesis is wrong.
    """

    phase: LabPhase
    name: BilingualText
    expected: str
    seen: str
    verdict: LabVerdict


@dataclass(frozen=True)
class Filled:
    """A line of the conclusion: a field of the document's template, filled in by what was seen.

    `value` is in English, `zh` the same in Chinese; figures are alike.
    """

    name: BilingualText
    value: str
    zh: str


@dataclass(frozen=True)
class Window:
    """A fault: when it began and when it was undone, in seconds of the lab (None: it never was)."""

    fault: str
    began: float
    ended: float | None


@dataclass(frozen=True)
class LabSample:
    """Where the events stood at this second of the lab."""

    at: float
    look: EventCounts


@dataclass(frozen=True)
class Snapshot:
    """A, B and C of the document at one moment: before (A), during (B) and after (C) the fault.

    `metrics` is what each worker's /metrics said, by the worker's name; empty where none answered.
    """

    label: str
    at: float
    standing: PipelineStatus
    metrics: dict[str, str]


@dataclass(frozen=True)
class Timed:
    """When a phase began and how long it took, in seconds of the lab."""

    phase: LabPhase
    began: float
    seconds: float


@dataclass(frozen=True)
class Line:
    """Something the lab did or saw, at this second of it; also a step for whoever does it by hand."""

    at: float
    text: str


@dataclass
class Record:
    """Everything of one run of one lab while it is made; `labs.evidence` writes it down.

    `why` says in a sentence what made the verdict what it is; `interrupted` names the phase in which
    the run was ended from outside. `logs` are file names in the lab's folder.
    """

    lab: str
    started_at: str
    settings: dict[str, str] = field(default_factory=dict)
    verdict: LabVerdict = LabVerdict.INCONCLUSIVE
    why: str = ""
    seconds: float = 0.0
    interrupted: LabPhase | None = None
    phases: list[Timed] = field(default_factory=list)
    checks: list[LabCheck] = field(default_factory=list)
    conclusion: list[Filled] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    samples: list[LabSample] = field(default_factory=list)
    timeline: list[Line] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LabRun:
    """Several labs, run together. `versions` by role; without `faults` it was a control run."""

    started_at: str
    seconds: float
    verdict: LabVerdict
    versions: dict[str, str]
    faults: bool
    records: list[Record]
