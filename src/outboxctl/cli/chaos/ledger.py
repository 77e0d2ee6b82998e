"""The ledger of faults as commands use it."""

from contextlib import suppress
from typing import TYPE_CHECKING

from outboxctl.cli import rendering

if TYPE_CHECKING:
    from collections.abc import Callable

    from outboxctl.drills.faults.ledger import Ledger
    from outboxctl.settings import Settings


def opened(settings: "Settings") -> "Ledger":
    """The ledger; it reports on stderr what takes long."""
    from outboxctl.drills.faults.ledger import Ledger

    return Ledger(settings, say=say)


def say(line: str) -> None:
    """Print a line on stderr; a terminal that was closed meanwhile keeps no fault from being undone."""
    with suppress(OSError):
        rendering.console(stderr=True).print(rendering.cell(line, 1_000))


def undo_leftovers(settings: "Callable[[], Settings]") -> None:
    """Undo what a killed `chaos` or `lab` left; what cannot be undone stays in the ledger.

    `settings` are read only where there is something to undo.
    """
    from outboxctl.drills.faults import records

    if records.load(records.folder()):
        opened(settings()).recover()


def recover() -> None:
    """Undo what killed runs of labs left: processes, services and faults. Only a run calls it."""
    from outboxctl.cli.options import settings
    from outboxctl.drills.scratch.folder import sweep

    sweep("lab", say)
    undo_leftovers(settings)  # after the workers have ended: they could use what is undone
