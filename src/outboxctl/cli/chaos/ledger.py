"""The ledger as commands use it."""

from importlib import import_module
from typing import TYPE_CHECKING

from outboxctl.cli.chaos.leftovers import KINDS

if TYPE_CHECKING:
    from outboxctl.chaos.ledger import Ledger
    from outboxctl.settings import Settings


def opened(given: "Settings") -> "Ledger":
    """The ledger, every kind of fault known to it; it tells what takes its time on stderr."""
    from outboxctl.chaos.ledger import Ledger
    from outboxctl.cli import render

    for module in KINDS:
        import_module(module)
    return Ledger(given, say=render.console(stderr=True).print)
