"""The progress of a run of labs: the phase of each, and how long the run will take."""

import heapq
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.drills.labs.drill import LabEvent
    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.labs.model import LabPhase, LabSample, Record


@dataclass
class LabRow:
    """One lab: not begun (`phase` None), running, or ended (`record`)."""

    lab: "type[Lab]"
    phase: "LabPhase | None" = None
    sample: "LabSample | None" = None
    began: float = 0.0
    record: "Record | None" = None
    usual: float = 0.0  # seconds

    @property
    def elapsed(self) -> float:
        """Seconds since it began, or that it took."""
        if self.record:
            return self.record.seconds
        return monotonic() - self.began if self.phase else 0.0

    @property
    def remaining(self) -> float:
        """Seconds until it ends, about; 0 where it takes longer than it usually does."""
        return 0.0 if self.record else max(0.0, self.usual - self.elapsed)


@dataclass
class LabProgress:
    """The rows of all labs. Each is written by the thread of its lab, and read by the thread that draws.

    `restarts`: a lab that restarts a search engine of its own has a real one, which starts slowly.
    """

    labs: "Sequence[type[Lab]]"
    jobs: int
    began: float = field(default_factory=monotonic)
    restarts: bool = False

    def __post_init__(self) -> None:
        self.rows = {
            lab.name: LabRow(lab, usual=lab.seconds + (lab.engine_start if self.restarts else 0.0))
            for lab in self.labs
        }

    def update(self, event: "LabEvent") -> LabRow:
        """Note the progress of a lab; returns its row."""
        row = self.rows[event.lab.name]
        if row.phase is None:
            row.began = monotonic()
        if event.phase is None:
            row.record = event.record
        else:
            row.phase, row.sample = event.phase, event.sample or row.sample
        return row

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return monotonic() - self.began

    @property
    def remaining(self) -> float:
        """Seconds until all have ended, about: each waiting lab takes the place that is free first."""
        left = [row for row in self.rows.values() if not row.record]
        places = [row.remaining for row in left if row.phase]
        heapq.heapify(places)
        for row in left:
            if row.phase is None:
                free = heapq.heappop(places) if len(places) >= self.jobs else 0.0
                heapq.heappush(places, free + row.remaining)
        return max(places, default=0.0)
