"""The ways to stop and start a sink: one class each, all made from words of a command line.

What a fault needs of them is written into the ledger as JSON, commands of the user's too: the file is
readable by its owner alone.
"""

from dataclasses import asdict
from typing import Any

from outboxctl.drills.faults.sink_controls.listening import listener
from outboxctl.drills.faults.sink_controls.managed import Commands, Compose, Systemd
from outboxctl.drills.faults.sink_controls.model import PATIENCE_SECONDS, SinkControl
from outboxctl.drills.faults.sink_controls.own import OwnServices
from outboxctl.drills.faults.sink_controls.pid_file import PidFile

__all__ = [
    "KNOWN",
    "PATIENCE_SECONDS",
    "Commands",
    "Compose",
    "OwnServices",
    "PidFile",
    "SinkControl",
    "Systemd",
    "facts",
    "from_facts",
    "listener",
]

KNOWN: dict[str, type[Any]] = {each.name: each for each in (OwnServices, PidFile, Compose, Systemd, Commands)}


def facts(means: SinkControl) -> dict[str, Any]:
    """What the ledger keeps of it; `from_facts` is the way back."""
    return {"means": means.name, "with": asdict(means)}  # type: ignore[call-overload]


def from_facts(kept: dict[str, Any]) -> SinkControl:
    """The means that `facts` was made of."""
    made: SinkControl = KNOWN[kept["means"]](**kept["with"])
    return made
