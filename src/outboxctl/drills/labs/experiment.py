"""The parts of any experiment: faults and their undoing, waits, checks, and a record of all of them."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

from outboxctl.domain.printable import brief
from outboxctl.drills.labs.model import LabCheck, LabPhase, LabVerdict, Line, Record, Window

POLL_SECONDS = 0.05
TIMEOUT_SECONDS = 30.0
Test = Callable[[], object]
T = TypeVar("T")


class RunStopped(Exception):  # noqa: N818 - an order, not an error
    """The run is to end: raised by every wait."""


class FaultNotConfirmed(Exception):  # noqa: N818 - a result, not an error
    """The later phases would show nothing; the check that says why is in the record."""


class Experiment:
    """One run of one lab, recorded in `record` as it goes; `stop` ends every wait with RunStopped."""

    def __init__(self, record: Record, *, stop: Event) -> None:
        self.record, self.phase, self.stop = record, LabPhase.PREPARE, stop
        self._started = monotonic()
        self._undoing: list[tuple[int, Callable[[], object] | None]] = []

    @property
    def now(self) -> float:
        """Seconds since the lab began."""
        return round(monotonic() - self._started, 3)

    def fault(self, name: str, begin: Callable[[], T], undo: Callable[[], object] | None = None) -> T:
        """Inject a fault with `begin` now; `undo` is called in UNDO at the latest."""
        self.log(f"fault: {name}")
        self.record.windows.append(Window(name, self.now, None))
        self._undoing.append((len(self.record.windows) - 1, undo))
        return begin()

    def undo(self) -> None:
        """Undo every fault that still lasts, the last one first, even if another cannot be undone."""
        while self._undoing:
            number, undo = self._undoing.pop()
            window = self.record.windows[number]
            try:
                if undo:
                    undo()
                    self.log(f"undone: {window.fault}")
            except Exception as error:
                name = f"undone: {window.fault}"
                self.note(name, "undone", str(error), LabVerdict.INCONCLUSIVE)
            self.record.windows[number] = Window(window.fault, window.began, self.now)

    def wait(self, condition: Callable[[], T], within: float = TIMEOUT_SECONDS, *, unless: Test = bool) -> T:
        """The first true `condition`, or the last after `within` seconds, or once `unless`. RunStopped."""
        end = monotonic() + within
        while not (value := condition()) and monotonic() < end:
            if unless():
                return condition()
            self.pause(POLL_SECONDS)
        return value

    def pause(self, seconds: float) -> None:
        """Sleep. RunStopped if the run is to end."""
        if self.stop.wait(seconds):
            raise RunStopped

    def confirm(self, name: str, condition: Callable[[], T], within: float = TIMEOUT_SECONDS) -> T:
        """Wait until the effect of the fault can be observed, and return it; else FaultNotConfirmed."""
        observed = self.wait(condition, within)
        self.note(name, "seen", _readable(observed), LabVerdict.INCONCLUSIVE, met=bool(observed))
        if not observed:
            raise FaultNotConfirmed
        return observed

    def expect(self, name: str, expected: object, observed: object, *, met: bool | None = None) -> bool:
        """Check a part of the hypothesis: both are equal, unless `met` says so. False refutes it."""
        holds = expected == observed if met is None else met
        self.note(name, _plain(expected), _plain(observed), LabVerdict.FAIL, met=holds)
        return holds

    def expect_soon(
        self, name: str, condition: Callable[[], T], within: float = TIMEOUT_SECONDS, *, unless: Test = bool
    ) -> T:
        """Wait for what the hypothesis predicts; a false value refutes it, and the lab goes on."""
        started = monotonic()
        observed = self.wait(condition, within, unless=unless)
        took = f"after {monotonic() - started:.1f} s" if observed else _readable(observed)
        self.note(name, f"within {within:g} s", took, LabVerdict.FAIL, met=bool(observed))
        return observed

    def conclude(self, name: str, value: object) -> None:
        """Fill in a field of the conclusion."""
        self.record.conclusion[name] = _plain(value)

    def log(self, text: str) -> None:
        """Add a line to the timeline."""
        self.record.timeline.append(Line(self.now, brief(text, 300)))

    def note(
        self, name: str, expected: str, observed: str, otherwise: LabVerdict, *, met: bool = False
    ) -> None:
        """Record a check: OK if it is met, else `otherwise`."""
        verdict = LabVerdict.OK if met else otherwise
        check = LabCheck(self.phase, name, expected, brief(observed, 300), verdict)
        self.record.checks.append(check)


def _readable(observed: object) -> str:
    return "nothing" if observed is None or observed is False else _plain(observed)


def _plain(value: object) -> str:
    """A value in words, not as Python prints it."""
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
