"""A fault from its beginning to its end, or to the end of the command that leaves it there."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import inf
from time import monotonic, sleep
from types import FrameType
from typing import TYPE_CHECKING

import typer
from rich.live import Live

from outboxctl.cli import rendering
from outboxctl.cli.chaos.ledger import opened, say
from outboxctl.drills.faults.records import Fault, PlannedFault
from outboxctl.drills.signals import SIGNALS, handling

if TYPE_CHECKING:
    from outboxctl.drills.faults.ledger import Ledger
    from outboxctl.settings import Settings

TICK = 0.1  # seconds until a signal is acted upon
SIGNALLED = 128  # plus the signal's number: the exit code of a command that a signal ended


class StoppedError(BaseException):
    """A signal came while a fault began; no Exception, so that no handler takes it for a failure."""


@contextmanager
def stop_signal() -> Iterator[Callable[[], int]]:
    """Yields the number of the first signal that has come, ^C included, else 0; ignored ones stay ignored."""
    signals: list[int] = []
    with handling(lambda number, _: signals.append(number)):
        yield lambda: signals[0] if signals else 0


@contextmanager
def raising_at_once(signalled: Callable[[], int]) -> Iterator[None]:
    """In a block of `stop_signal`: the first signal raises StoppedError here."""
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def end(number: int, frame: FrameType | None) -> None:
        first, handler = not signalled(), before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        if first:
            raise StoppedError

    if signalled():
        raise StoppedError
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def cause(settings: "Settings", causes: Sequence[PlannedFault], seconds: float | None, *, json: bool) -> None:
    """Begin the faults; hold them for so many seconds, if any, or until a signal, and undo them.

    A signal ends the beginning, too. Raises OutboxctlError where one does not take effect (those begun are
    undone) or cannot be undone.
    """
    with stop_signal() as signalled:
        try:
            planned = [_interruptible(each, signalled) for each in causes]
            _hold(settings, planned, seconds, signalled, json=json)
        except StoppedError:
            say("Stopped before it had begun; what was begun is undone.")
        if signalled():
            raise typer.Exit(SIGNALLED + signalled())


def _interruptible(each: PlannedFault, signalled: Callable[[], int]) -> PlannedFault:
    def begin() -> None:
        with raising_at_once(signalled):
            each.begin()

    return each._replace(begin=begin)


def _hold(
    settings: "Settings",
    causes: Sequence[PlannedFault],
    seconds: float | None,
    signalled: Callable[[], int],
    *,
    json: bool,
) -> None:
    began = monotonic()
    with ExitStack() as stack:
        faults = [_begin(opened(settings), stack, each, seconds) for each in causes]
        took = monotonic() - began
        for each in faults:
            say(f"{each.what}, after {rendering.age(took)}")
        stays = seconds is None and not signalled()  # decided once: a signal that comes later undoes nothing
        if stays:
            stack.pop_all()
        else:
            watch(lambda: _line(faults), seconds or 0.0, signalled)
    _show(faults, took, monotonic() - began, undone=not stays, json=json)


def _begin(ledger: "Ledger", stack: ExitStack, each: PlannedFault, seconds: float | None) -> Fault:
    if seconds is not None:
        return stack.enter_context(ledger.holding(each.fault, each.begin, for_seconds=seconds))
    ledger.begin(each.fault, each.begin)
    stack.callback(ledger.undo, each.fault)  # if the next one does not begin well
    return each.fault


def watch(line: Callable[[], str], seconds: float, signalled: Callable[[], int]) -> None:
    """Wait so many seconds (`inf`: without end), or until a signal; on a terminal with the time left."""
    end = monotonic() + seconds
    out = rendering.console(stderr=True)
    live = out.is_terminal and not out.is_dumb_terminal
    with Live(console=out, auto_refresh=False, transient=True) if live else ExitStack() as screen:
        while not signalled() and (left := end - monotonic()) > 0:
            if isinstance(screen, Live):
                time = "" if left == inf else f"{rendering.age(left)} left, "
                screen.update(rendering.cell(f"{line()}: {time}^C ends it"), refresh=True)
            sleep(min(TICK, left))


def _line(faults: Sequence[Fault]) -> str:
    return faults[0].what if len(faults) == 1 else f"{len(faults)} faults"


def _show(faults: Sequence[Fault], took: float, total: float, *, undone: bool, json: bool) -> None:
    end = f"undone after {rendering.age(total - took)}" if undone else "until undone"
    lines = [f"{each.id}  {rendering.cell(each.what, 400).plain}: {end}" for each in faults]
    lines += [] if undone else ["`outboxctl chaos undo` undoes it"]
    report = {"faults": [{"id": each.id, "kind": each.kind, "what": each.what} for each in faults]}
    held = round(total - round(took, 1), 1) if undone else None
    times = {"took": round(took, 1), "undone": undone, "undone_after": held}
    rendering.show(report | times, lambda: lines, json=json)
