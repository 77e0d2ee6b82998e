"""The options of a run."""

from dataclasses import dataclass

from outboxctl.domain.printable import counted

MOST_BYTES = 1_000_000_000  # of all documents, which are held in memory to measure S
MOST_CELLS = 24
REQUEST_SIZE, REQUEST_BYTES = 1_000, 10_000_000  # what measures S sends at a time
EVENTS_A_SECOND = 25_000  # of a quick system, for a guess of how long it takes
START_SECONDS = 1.3  # of a worker
FILLS = 3  # how often a repetition writes all rows, roughly counted in deliveries


@dataclass(frozen=True, order=True)
class Cell:
    """One setting of the worker."""

    concurrency: int
    bulk_size: int

    def __str__(self) -> str:
        """In words: `3 lanes, 1,000 a batch`."""
        return f"{counted(self.concurrency, 'lane')}, {self.bulk_size:,} a batch"


@dataclass(frozen=True)
class BenchOptions:
    """`events` of `bytes` of JSON each, `repeat` times; of several `cells` the best is searched first."""

    events: int
    bytes: int
    repeat: int
    cells: list[Cell]

    @property
    def searching(self) -> bool:
        """Whether the best of several cells is searched."""
        return len(self.cells) > 1

    @property
    def request_size(self) -> int:
        """Documents in each request that measures S."""
        return max(1, min(REQUEST_SIZE, REQUEST_BYTES // self.bytes))

    @property
    def steps(self) -> int:
        """How many steps a run reports: the warm-up, the cells, and S, P and E of each repetition."""
        return 1 + self._runs_of_cells + 3 * (self.repeat + 1)

    @property
    def documents(self) -> int:
        """About how many documents are written to both ends, the warm-up apart."""
        return self.events * (self._runs_of_cells + 5 * (self.repeat + 1))

    @property
    def seconds(self) -> float:
        """About how long it takes on a quick system."""
        starts = self._runs_of_cells + 2 * (self.repeat + 1)
        return 10 + starts * START_SECONDS + (self.documents * FILLS / 2) / EVENTS_A_SECOND

    @property
    def _runs_of_cells(self) -> int:
        return len(self.cells) * (self.repeat + 1) if self.searching else 0
