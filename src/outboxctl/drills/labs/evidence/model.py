"""The report of a run as plain data: what `report.json` holds, and what every page is made from."""

from collections.abc import Iterator
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
    """A lab's own words, what was recorded of it, and its figures."""

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
        """The checks that were not met, those that refute the hypothesis first."""
        return [
            check
            for verdict in (LabVerdict.FAIL, LabVerdict.INCONCLUSIVE)
            for check in self.record.checks
            if check.verdict is verdict
        ]


@dataclass(frozen=True)
class RunReport:
    """A run. `report.json` leaves out samples and metrics, which have files of their own."""

    version: int
    state: RunState
    started_at: str
    seconds: float
    verdict: LabVerdict
    faults: bool
    versions: dict[str, str]
    labs: list[LabReport]

    def of(self, verdict: LabVerdict) -> int:
        """How many labs ended so."""
        return sum(lab.record.verdict is verdict for lab in self.labs)

    def unmet(self) -> Iterator[tuple[LabReport, LabCheck]]:
        """Every check that was not met, with its lab."""
        for lab in self.labs:
            for check in lab.unmet:
                yield lab, check


def adapter(kind: type[T]) -> "TypeAdapter[T]":
    """What reads and writes such a dataclass as JSON."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - a tenth of a second that listing labs need not wait

    return TypeAdapter(kind)
