"""How an experiment is made, whatever it is about: faults and their end, waits, checks, notes of it all."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

from outboxctl.domain.printable import brief
from outboxctl.drills.labs.model import (
    BilingualText,
    Filled,
    LabCheck,
    LabPhase,
    LabVerdict,
    Line,
    Record,
    Window,
)

PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 30.0
CONTROL_SECONDS = 2.0
YES, NO = BilingualText("yes", "是"), BilingualText("no", "否")
T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 - an order, not an error
    """The run is to end: whatever a lab waits for, it waits no longer."""


class Unlearned(Exception):  # noqa: N818 - a finding, not an error
    """There is nothing to learn from what would come next; the check that says why is in the record."""


class Experiment:
    """One run of one lab, written down in `record` as it goes; `phase` is the one under way.

    `stop` ends every wait with Stopped. Without `faults` (a control run) nothing is broken, and the lab
    must notice that.
    """

    def __init__(self, record: Record, *, stop: Event, faults: bool = True) -> None:
        self.record, self.phase = record, LabPhase.PREPARE
        self.stop: Event | None = stop
        self._faults, self._began = faults, monotonic()
        self._undoing: list[tuple[int, Callable[[], object] | None]] = []

    @property
    def now(self) -> float:
        """Seconds since the lab began."""
        return round(monotonic() - self._began, 3)

    # What is broken, and mended.

    def fault(self, name: str, begin: Callable[[], T], undo: Callable[[], object] | None = None) -> T | None:
        """Break something: `begin` now, `undo` (if there is something to undo) at the latest in UNDO.

        In a control run nothing is done, and None returned.
        """
        if not self._faults:
            self.say(f"control run, left out: {name}")
            return None
        self.say(f"fault: {name}")
        self.record.windows.append(Window(name, self.now, None))
        self._undoing.append((len(self.record.windows) - 1, undo))
        return begin()

    def undo(self) -> None:
        """Undo every fault that is not undone yet, the last one first, each though another fails."""
        while self._undoing:
            number, undo = self._undoing.pop()
            window = self.record.windows[number]
            try:
                if undo:
                    undo()
                    self.say(f"undone: {window.fault}")
            except Exception as error:
                name = BilingualText(f"undone: {window.fault}", f"已撤销：{window.fault}")
                self._check(name, "undone", brief(error, 300), LabVerdict.INCONCLUSIVE)
            self.record.windows[number] = Window(window.fault, window.began, self.now)

    # What is waited for.

    def wait(
        self,
        condition: Callable[[], T],
        within: float = PATIENCE_SECONDS,
        *,
        unless: Callable[[], object] = bool,
    ) -> T:
        """The first true value of `condition`, or its last one after `within` seconds. Stopped.

        Once `unless` is true, what has not come by then cannot come any more.
        """
        end = monotonic() + within
        while not (value := condition()) and monotonic() < end:
            if unless():
                return condition()
            self.pause(PAUSE_SECONDS)
        return value

    def pause(self, seconds: float) -> None:
        """Let time pass, where it is time itself that the lab is about. Stopped if the run is to end."""
        if self.stop is None:
            Event().wait(seconds)
        elif self.stop.wait(seconds):
            raise Stopped

    # What is made of it.

    def took_hold(
        self, name: BilingualText, condition: Callable[[], T], within: float = PATIENCE_SECONDS
    ) -> T:
        """Wait until the fault can be seen at work; returns what was seen. Unlearned if it cannot.

        In a control run there is none to be seen, so it is not waited for long.
        """
        seen = self.wait(condition, within if self._faults else min(within, CONTROL_SECONDS))
        self._check(name, "seen", _readable(seen), LabVerdict.INCONCLUSIVE, met=bool(seen))
        if not seen:
            raise Unlearned
        return seen

    def expect(self, name: BilingualText, expected: object, seen: object, *, met: bool | None = None) -> bool:
        """Hold what was seen against the hypothesis; equal, unless `met` says so. False refutes it."""
        good = expected == seen if met is None else met
        self._check(name, _plain(expected), _plain(seen), LabVerdict.FAIL, met=good)
        return good

    def expect_soon(
        self,
        name: BilingualText,
        condition: Callable[[], T],
        within: float = PATIENCE_SECONDS,
        *,
        unless: Callable[[], object] = bool,
    ) -> T:
        """Wait for what the hypothesis promises; False refutes it, and the lab goes on."""
        began = monotonic()
        seen = self.wait(condition, within, unless=unless)
        took = f"after {monotonic() - began:.1f} s" if seen else _readable(seen)
        self._check(name, f"within {within:g} s", took, LabVerdict.FAIL, met=bool(seen))
        return seen

    def conclude(self, name: BilingualText, value: object) -> None:
        """Fill in a field of the document's conclusion; a truth value becomes yes or no."""
        said = value if isinstance(value, BilingualText) else BilingualText(*[_plain(value)] * 2)
        said = (YES if value else NO) if isinstance(value, bool) else said
        self.record.conclusion.append(Filled(name, said.en, said.zh))

    def say(self, text: str) -> None:
        """Write down what was done or seen, with its second."""
        self.record.timeline.append(Line(self.now, brief(text, 300)))

    def note(self, name: BilingualText, expected: str, seen: str, verdict: LabVerdict) -> None:
        """A check that needs no waiting, with the verdict it leads to."""
        self.record.checks.append(LabCheck(self.phase, name, expected, brief(seen, 300), verdict))

    def _check(
        self, name: BilingualText, expected: str, seen: str, otherwise: LabVerdict, *, met: bool = False
    ) -> None:
        self.note(name, expected, seen, LabVerdict.OK if met else otherwise)


def _readable(seen: object) -> str:
    """What a person reads of a value that was waited for."""
    return "nothing" if seen is None or seen is False else _plain(seen)


def _plain(value: object) -> str:
    """A value as a person says it, not as Python does."""
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
