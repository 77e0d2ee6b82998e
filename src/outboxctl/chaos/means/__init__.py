"""The ways to stop and start a sink: one class each, all made from words of a command line.

What a fault needs of them is written into the ledger as JSON, commands of the user's too: the file is
readable by its owner alone.
"""

from dataclasses import asdict
from typing import Any

from outboxctl.chaos.means.listening import listener
from outboxctl.chaos.means.managed import Commands, Compose, Systemd
from outboxctl.chaos.means.model import PATIENCE_SECONDS, Means
from outboxctl.chaos.means.own import OwnServices
from outboxctl.chaos.means.pid_file import PidFile

__all__ = [
    "KNOWN",
    "PATIENCE_SECONDS",
    "Commands",
    "Compose",
    "Means",
    "OwnServices",
    "PidFile",
    "Systemd",
    "facts",
    "from_facts",
    "listener",
]

KNOWN: dict[str, type[Any]] = {each.name: each for each in (OwnServices, PidFile, Compose, Systemd, Commands)}


def facts(means: Means) -> dict[str, Any]:
    """What the ledger keeps of it; `from_facts` is the way back."""
    return {"means": means.name, "with": asdict(means)}  # type: ignore[call-overload]


def from_facts(kept: dict[str, Any]) -> Means:
    """The means that `facts` was made of."""
    made: Means = KNOWN[kept["means"]](**kept["with"])
    return made
