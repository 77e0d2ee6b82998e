"""The ledger of faults as commands use it, and a fault from its beginning to its end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from time import monotonic, sleep
from typing import TYPE_CHECKING

import typer

from outboxctl.cli import parse, rendering
from outboxctl.drills.signals import handling

if TYPE_CHECKING:
    from outboxctl.drills.faults.ledger import Ledger
    from outboxctl.drills.faults.records import Fault, PlannedFault
    from outboxctl.settings import Settings

    Causes = Sequence[PlannedFault]

TICK = 0.1  # seconds until a signal is acted upon
SIGNALLED = 128  # plus the signal's number: the exit code of a command that a signal ended


def opened(settings: "Settings") -> "Ledger":
    """The ledger; it reports on stderr what takes long."""
    from outboxctl.drills.faults.ledger import Ledger

    return Ledger(settings, say=say)


def say(line: str) -> None:
    """Print a line on stderr; a terminal that was closed meanwhile keeps no fault from being undone."""
    with suppress(OSError):
        rendering.console(stderr=True).print(rendering.cell(line, 1_000))


def undo_leftovers(settings: "Callable[[], Settings]") -> None:
    """Undo what a killed `chaos` or `lab` left, or keep it in the ledger; only then are `settings` read."""
    from outboxctl.drills.faults import records

    if records.load(records.folder()):
        opened(settings()).recover()


def recover() -> None:
    """Undo what killed runs of labs left: processes, services and faults. Only a run calls it."""
    from outboxctl.cli.options import settings
    from outboxctl.drills.scratch.folder import sweep

    sweep("lab", say)
    undo_leftovers(settings)  # after the workers have ended: they could use what is undone


class StoppedError(BaseException):
    """A signal came while a fault began; no Exception, so that no handler takes it for a failure."""


@dataclass
class StopSignal:
    """The number of the first signal that has come, ^C included, else 0."""

    number: int = 0
    raising: bool = False

    def arrive(self, number: int, _frame: object) -> None:
        """Handle a signal."""
        first, self.number = not self.number, self.number or number
        if first and self.raising:
            raise StoppedError

    @contextmanager
    def raised(self) -> Iterator[None]:
        """In the block the first signal raises StoppedError at once."""
        if self.number:
            raise StoppedError
        self.raising = True
        try:
            yield
        finally:
            self.raising = False


def cause(settings: "Settings", causes: "Causes", duration: str | None, *, json: bool) -> None:
    """Begin the faults, hold them for `--for` or until a signal, undo them. OutboxctlError if one fails."""
    seconds = None if duration is None else parse.duration("--for", duration).total_seconds()
    stop = StopSignal()
    with handling(stop.arrive):
        try:
            _hold(settings, causes, seconds, stop, json)
        except StoppedError:
            say("Stopped before it had begun; what was begun is undone.")
        if stop.number:
            raise typer.Exit(SIGNALLED + stop.number)


def _hold(
    settings: "Settings",
    causes: "Causes",
    seconds: float | None,
    stop: StopSignal,
    json: bool,
) -> None:
    began, faults, ledger = monotonic(), list["Fault"](), opened(settings)
    with ExitStack() as stack:
        for fault, begin in causes:
            interruptible = partial(_begin, begin, stop)
            if seconds is None:
                ledger.begin(fault, interruptible)
                stack.callback(ledger.undo, fault)  # if the next one does not begin well
            else:
                stack.enter_context(ledger.holding(fault, interruptible))
            faults.append(fault)
            say(f"{fault.what}, after {rendering.age(monotonic() - began)}")
        stays = seconds is None and not stop.number  # decided once: a signal that comes later undoes nothing
        if stays:
            stack.pop_all()
        else:
            what = faults[0].what if len(faults) == 1 else f"{len(faults)} faults"
            watch(lambda: what, seconds or 0.0, stop)
    end = "until `outboxctl chaos undo`" if stays else f"undone after {rendering.age(monotonic() - began)}"
    lines = [f"{each.id}  {rendering.cell(each.what, 400).plain}: {end}" for each in faults]
    report = [{"id": each.id, "kind": each.kind, "what": each.what} for each in faults]
    rendering.show({"faults": report, "undone": not stays}, lambda: lines, json=json)


def _begin(begin: Callable[[], object], stop: StopSignal) -> None:
    with stop.raised():
        begin()


def watch(line: Callable[[], str], seconds: float, stop: StopSignal) -> None:
    """Wait so many seconds (`inf`: without end), or until a signal; on a terminal with the time left."""
    from rich.live import Live

    end = monotonic() + seconds
    out = rendering.console(stderr=True)
    live = out.is_terminal and not out.is_dumb_terminal
    with Live(console=out, auto_refresh=False, transient=True) if live else ExitStack() as screen:
        while not stop.number and (left := end - monotonic()) > 0:
            if isinstance(screen, Live):
                time = "" if left == inf else f"{rendering.age(left)} left, "
                screen.update(rendering.cell(f"{line()}: {time}^C ends it"), refresh=True)
            sleep(min(TICK, left))
