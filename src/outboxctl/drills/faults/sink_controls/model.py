"""What every way to stop and start a sink can do."""

from typing import ClassVar, Protocol

from outboxctl.drills.services.model import Say

PATIENCE_SECONDS = 120.0  # for a command of somebody else's


class SinkControl(Protocol):
    """A way to stop and start the sink, its process known or not."""

    name: ClassVar[str]

    def stop(self, say: Say) -> None:
        """Stop it. Raises OutboxctlError."""

    def start(self, say: Say, within: float = PATIENCE_SECONDS) -> None:
        """Start it again; it need not answer yet. Raises OutboxctlError, if it takes longer, too."""

    def pid(self) -> int | None:
        """Its process, or that of which it is a descendant; None where that cannot be known from here."""
