"""The ledger as commands use it."""

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outboxctl.drills.faults.ledger import Ledger
    from outboxctl.settings import Settings

# Each declares how its faults are undone; who undoes must have loaded them all.
KINDS = (
    "outboxctl.drills.faults.engine",
    "outboxctl.drills.faults.workers",
    "outboxctl.drills.faults.block",
    "outboxctl.drills.faults.guest",
)


def opened(given: "Settings") -> "Ledger":
    """The ledger, every kind of fault known to it; it tells what takes its time on stderr."""
    from outboxctl.drills.faults.ledger import Ledger

    for module in KINDS:
        import_module(module)
    return Ledger(given, say=say)


def say(line: str) -> None:
    """Tell it on stderr; a terminal that was closed meanwhile keeps no fault from being undone."""
    from outboxctl.cli import rendering

    with suppress(OSError):
        rendering.console(stderr=True).print(rendering.cell(line, 1_000))
