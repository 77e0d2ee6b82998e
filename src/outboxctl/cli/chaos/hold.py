"""A fault from its beginning to its end, or to the end of the command that leaves it there."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import typer
from rich.live import Live

from outboxctl.cli import rendering
from outboxctl.cli.chaos.ledger import opened, say
from outboxctl.cli.chaos.stop_signals import StoppedError, at_once, stop_signal
from outboxctl.cli.closed_pipe import tolerate_closed_pipe
from outboxctl.drills.faults.records import Fault, PlannedFault

if TYPE_CHECKING:
    from outboxctl.drills.faults.ledger import Ledger
    from outboxctl.settings import Settings

TICK = 0.1  # seconds until a signal is acted upon
SIGNALLED = 128  # plus the signal's number: the exit code of a command that was told to stop


def cause(given: "Settings", causes: Sequence[PlannedFault], lasts: float | None, *, json: bool) -> None:
    """Begin the faults; with `lasts` hold them for so many seconds, or until a signal, and undo them.

    A signal ends the beginning, too. Raises OutboxctlError where one does not take hold (those begun are
    undone) or cannot be undone.
    """
    with stop_signal() as told:
        try:
            _hold(given, [_interruptible(each, told) for each in causes], lasts, told, json=json)
        except StoppedError:
            say("Stopped before it had begun; what was broken is mended.")
        if told():
            raise typer.Exit(SIGNALLED + told())


def _interruptible(each: PlannedFault, told: Callable[[], int]) -> PlannedFault:
    def begin() -> None:
        with at_once(told):
            each.begin()

    return each._replace(begin=begin)


def _hold(
    given: "Settings",
    causes: Sequence[PlannedFault],
    lasts: float | None,
    told: Callable[[], int],
    *,
    json: bool,
) -> None:
    began = monotonic()
    with ExitStack() as stack:
        faults = [_begin(opened(given), stack, each, lasts) for each in causes]
        took = monotonic() - began
        _print_durations(faults, took)
        if lasts is None and not told():
            stack.pop_all()
        else:
            watch(_line(faults), lasts or 0.0, told)
    undone = lasts is not None or bool(told())
    _show(faults, took, monotonic() - began, undone=undone, json=json)


def _begin(ledger: "Ledger", stack: ExitStack, each: PlannedFault, lasts: float | None) -> Fault:
    if lasts is not None:
        return stack.enter_context(ledger.holding(each.fault, each.begin, for_seconds=lasts))
    ledger.begin(each.fault, each.begin)
    stack.callback(ledger.undo, each.fault)  # if the next one does not begin well
    return each.fault


def watch(line: str, seconds: float, told: Callable[[], int]) -> None:
    """Wait so many seconds, or until told to stop; on a terminal with the remaining time."""
    end = monotonic() + seconds
    out = rendering.console(stderr=True)
    with Live(console=out, auto_refresh=False, transient=True) if _live(out) else ExitStack() as live:
        while not told() and (left := end - monotonic()) > 0:
            if isinstance(live, Live):
                live.update(rendering.cell(f"{line}: {rendering.age(left)} left, ^C ends it"), refresh=True)
            sleep(min(TICK, left))


def _live(out: Any) -> bool:
    return bool(out.is_terminal and not out.is_dumb_terminal)


def _line(faults: Sequence[Fault]) -> str:
    return faults[0].what if len(faults) == 1 else f"{len(faults)} faults"


def _print_durations(faults: Sequence[Fault], took: float) -> None:
    for each in faults:
        say(f"{each.what}, after {rendering.age(took)}")


@tolerate_closed_pipe()
def _show(faults: Sequence[Fault], took: float, all_in_all: float, *, undone: bool, json: bool) -> None:
    if json:
        listed = [{"id": each.id, "kind": each.kind, "what": each.what} for each in faults]
        took, held = round(took, 1), round(all_in_all - took, 1) if undone else None
        rendering.emit_json({"faults": listed, "took": took, "undone": undone, "undone_after": held})
        return
    for each in faults:
        end = f"undone after {rendering.age(all_in_all - took)}" if undone else "until undone"
        typer.echo(f"{each.id}  {rendering.cell(each.what, 400).plain}: {end}")
    if not undone:
        typer.echo(f"`outboxctl chaos undo {' '.join(each.id for each in faults)}` undoes it")
