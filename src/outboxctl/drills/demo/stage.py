"""What the steps of the demo share: the system, the checks so far, waiting for the worker with progress."""

from collections.abc import Callable, Generator
from time import monotonic, sleep

from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills.demo.report import DemoCheck, DemoProgress, Event
from outboxctl.drills.demo.system import DemoSystem

POLL_SECONDS = 0.02
STALLED_SECONDS = 30.0


class Stage:
    """A system, the number of events `written` to it, and the `checks` of what was seen on it."""

    def __init__(self, system: DemoSystem) -> None:
        self.system = system
        self.written = 0
        self.checks: list[DemoCheck] = []

    def watch(self, until: Callable[[PipelineStatus], bool]) -> Generator[Event, None, PipelineStatus]:
        """Poll until then; OutboxctlError if the worker ends or no event becomes done for too long."""
        last, deadline = -1, 0.0
        while not until(now := self.system.status()):
            yield DemoProgress(now.status["done"], self.written)
            self.system.worker.must_live()
            if now.status["done"] != last:
                last, deadline = now.status["done"], monotonic() + STALLED_SECONDS
            if monotonic() > deadline:
                raise OutboxctlError(f"nothing was done for {STALLED_SECONDS:g} s: {now.status}")
            sleep(POLL_SECONDS)
        return now

    def check(self, name: str, seen: int, expected: int, *, at_least: bool = False) -> None:
        """Add a check."""
        self.checks.append(DemoCheck(name, seen, expected, at_least))
