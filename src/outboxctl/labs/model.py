"""What a lab says and what comes of it: phases, checks, samples, verdict. Plain data, ready for JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from outboxctl.core.look import Look
from outboxctl.core.snapshot import Standing


class Verdict(StrEnum):
    """How a lab ended. FAIL stands over INCONCLUSIVE, and INCONCLUSIVE over OK."""

    OK = "OK"
    INCONCLUSIVE = "INCONCLUSIVE"
    FAIL = "FAIL"

    @classmethod
    def worst(cls, verdicts: Iterable["Verdict"]) -> "Verdict":
        """The one that stands over all others; nothing at all is inconclusive."""
        order = list(cls)
        return max(verdicts, key=order.index, default=cls.INCONCLUSIVE)


class Phase(StrEnum):
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
class Words:
    """A text in English and in Chinese."""

    en: str
    zh: str


@dataclass(frozen=True)
class Check:
    """One thing that was seen, against what had to be seen.

    `verdict` of one that was not met: INCONCLUSIVE where it shows that the experiment was none (no
    steady state, a fault that did not take hold, too few events), FAIL where the hypothesis is wrong.
    """

    phase: Phase
    name: Words
    expected: str
    seen: str
    verdict: Verdict


@dataclass(frozen=True)
class Filled:
    """A line of the conclusion: a field of the document's template, filled in by what was seen.

    `value` is in English, `zh` the same in Chinese; figures are alike.
    """

    name: Words
    value: str
    zh: str


@dataclass(frozen=True)
class Window:
    """A fault: when it began and when it was undone, in seconds of the lab (None: it never was)."""

    fault: str
    began: float
    ended: float | None


@dataclass(frozen=True)
class Sample:
    """Where the events stood at this second of the lab."""

    at: float
    look: Look


@dataclass(frozen=True)
class Snapshot:
    """A, B and C of the document at one moment: before (A), during (B) and after (C) the fault.

    `metrics` is what each worker's /metrics said, by the worker's name; empty where none answered.
    """

    label: str
    at: float
    standing: Standing
    metrics: dict[str, str]


@dataclass(frozen=True)
class Timed:
    """When a phase began and how long it took, in seconds of the lab."""

    phase: Phase
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
    verdict: Verdict = Verdict.INCONCLUSIVE
    why: str = ""
    seconds: float = 0.0
    interrupted: Phase | None = None
    phases: list[Timed] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    conclusion: list[Filled] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    timeline: list[Line] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """Several labs, run together. `versions` by role; without `faults` it was a control run."""

    started_at: str
    seconds: float
    verdict: Verdict
    versions: dict[str, str]
    faults: bool
    records: list[Record]
