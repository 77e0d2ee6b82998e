"""The report of a run as plain data: the content of `report.json`, from which every page is made."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from outboxctl.drills.labs.model import BilingualText, LabCheck, LabVerdict, Record

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VERSION = 1
T = TypeVar("T")


class RunState(StrEnum):
    """Whether a run came to its end. INTERRUPTED: a signal or a crash ended it before."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Figures:
    """What two runs are compared by; None where a lab has no such figure.

    `recovery_seconds` is the phase RECOVER; `peak_lag` in events and `oldest_age_seconds` are the worst
    that was sampled since INJECT; `attempts` is the sum over all events at the end; `throughput` is
    events done a second from the end of the last fault until nothing more became done.
    """

    recovery_seconds: float | None
    peak_lag: int | None
    oldest_age_seconds: float | None
    attempts: int | None
    throughput: float | None


@dataclass(frozen=True)
class LabReport:
    """A lab's texts, its record and its figures."""

    name: str
    number: int | None
    title: BilingualText
    question: BilingualText
    hypothesis: BilingualText
    by_hand: list[str]
    figures: Figures
    record: Record

    @property
    def unmet(self) -> list[LabCheck]:
        """The unmet checks, those that refute the hypothesis first."""
        return [
            check
            for verdict in (LabVerdict.FAIL, LabVerdict.INCONCLUSIVE)
            for check in self.record.checks
            if check.verdict is verdict
        ]


@dataclass(frozen=True)
class RunReport:
    """A run. Samples and metrics are not in `report.json`: they have files of their own."""

    version: int
    state: RunState
    started_at: str
    seconds: float
    verdict: LabVerdict
    faults: bool
    versions: dict[str, str]
    labs: list[LabReport]

    def of(self, verdict: LabVerdict) -> int:
        """How many labs have this verdict."""
        return sum(lab.record.verdict is verdict for lab in self.labs)


def adapter(kind: type[T]) -> "TypeAdapter[T]":
    """Reads and writes such a dataclass as JSON."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - it takes 0.1 s, which `lab list` does not need

    return TypeAdapter(kind)
