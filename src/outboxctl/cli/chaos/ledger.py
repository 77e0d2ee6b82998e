"""The ledger of faults as commands use it, and a fault from its beginning to its end."""

from contextlib import ExitStack, suppress
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING

import typer

from outboxctl.cli import parse, rendering
from outboxctl.drills.signals import SignalReceived, raising, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outboxctl.drills.faults.ledger import Ledger
    from outboxctl.drills.faults.records import PlannedFault
    from outboxctl.settings import Settings

    Causes = Sequence[PlannedFault]


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


def tell(line: str) -> None:
    """Print a line of the result on stdout."""
    typer.echo(rendering.cell(line, 1_000).plain)


def cause(settings: "Settings", causes: "Causes", duration: str | None) -> None:
    """Begin the faults, hold them for `--for` or until a signal, undo them. OutboxctlError if one fails."""
    seconds = None if duration is None else parse.duration("--for", duration).total_seconds()
    ledger, began, stays = opened(settings), monotonic(), False
    with suppress(SignalReceived), raising() as signals, ExitStack() as stack:
        for fault, begin in causes:
            if seconds is None:
                stack.callback(undisturbed, partial(ledger.undo, fault))  # if one does not begin well
                ledger.begin(fault, begin)
            else:
                stack.enter_context(ledger.holding(fault, begin))
            say(f"{fault.what}, after {rendering.age(monotonic() - began)}")
        if seconds is None:
            stack.pop_all()
            stays = True
        else:
            say(f"undone in {rendering.age(seconds)}, or on ^C")
            sleep(seconds)
    end = "until `outboxctl chaos undo`" if stays else f"undone after {rendering.age(monotonic() - began)}"
    for fault, _ in causes:
        tell(f"{fault.id}  {fault.what}: {end}")
    if signals:
        raise typer.Exit(128 + signals[0])
