"""The engine of `services up`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from outboxctl.drills import services
from outboxctl.drills.faults.sink_controls.model import PATIENCE_SECONDS
from outboxctl.drills.services.model import Say


@dataclass(frozen=True)
class OwnServices:
    """The engine that `outboxctl services up` started, by its state folder."""

    name: ClassVar[str] = "services"
    state: str

    def stop(self, say: Say) -> None:
        """End it politely; its data stays."""
        services.stop("search", Path(self.state), say=say)

    def start(self, say: Say, within: float = PATIENCE_SECONDS) -> None:  # noqa: ARG002 - it knows better
        """Start it on the same port and data, and wait until it answers."""
        services.start_search(Path(self.state), say=say)

    def pid(self) -> int | None:
        """None for a container."""
        known = (each for each in services.status(Path(self.state)) if each.role == "search")
        return next((each.pid for each in known if each.running), None)
