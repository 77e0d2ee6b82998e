"""What befalls a worker, and the place in which one is followed by another."""

from dataclasses import dataclass
from enum import StrEnum

from processes import Worker


class Blow(StrEnum):
    """What befalls a worker."""

    KILL = "kill -9"
    STOP = "SIGSTOP past the lease, SIGCONT"
    SUSPEND = "machine suspended past the lease"
    END = "SIGTERM"
    CUT = "pg_terminate_backend"
    LOCK = "a row locked past the lease"


@dataclass
class Place:
    """One worker's place; `must_end` is the exit code that is expected of the one in it, if any."""

    name: str
    worker: Worker
    up: bool = False
    wakes_at: float | None = None
    must_end: int | None = None

    @property
    def well(self) -> bool:
        """Whether it works, as far as is known: no signal may come before its handlers are there."""
        if self.wakes_at is not None or self.must_end is not None or self.worker.process.poll() is not None:
            return False
        self.up = self.up or self.worker.get("/healthz")[0] == 200
        return self.up
