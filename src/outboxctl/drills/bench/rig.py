"""What is measured on: both ends, empty but for what a measurement puts there, and what they cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from outboxctl.core.database import Database
from outboxctl.domain.errors import OutboxctlError
from outboxctl.settings import Settings

if TYPE_CHECKING:
    from outboxctl.sink.transport.client import Client

Clock = Callable[[], float]


def _nothing() -> None:
    """Servers that nobody may tell to write out everything."""


@dataclass(frozen=True)
class Rig:
    """Both ends, ready for the product; everything in the tables and the index of `settings` is the rig's.

    `cpu` holds CPU seconds so far of `postgres` and `engine`, with their children; empty where they run
    on other machines. `checkpoint` has PostgreSQL write out everything, so that it does not do so while we
    measure. A worker that is started in `folder` finds no `.env` there; `environment` is what it needs
    beside the settings, as what opens the sink. `insists`: the sink's `require_alias` can be relied on.
    A command that takes longer than `patience` seconds is killed.
    """

    settings: Settings
    database: Database
    client: "Client"
    folder: Path
    versions: Mapping[str, str] = field(default_factory=dict)
    cpu: Mapping[str, Clock] = field(default_factory=dict)
    checkpoint: Callable[[], None] = _nothing
    environment: Mapping[str, str] = field(default_factory=dict)
    insists: bool = True
    patience: float = 120.0

    def tuned(self, *, concurrency: int, bulk_size: int) -> "Rig":
        """The same with so many lanes and so many events a batch."""
        given = {"concurrency": concurrency, "bulk_size": bulk_size}
        return replace(self, settings=self.settings.model_copy(update=given))

    def spent(self, whose: str) -> float:
        """CPU seconds of `postgres` or `engine` so far; 0 where that cannot be seen."""
        return self.cpu[whose]() if whose in self.cpu else 0.0


def must(holds: bool, otherwise: str) -> None:
    """End a measurement whose result would be none. Raises OutboxctlError."""
    if not holds:
        raise OutboxctlError(f"the measurement is void: {otherwise}", hint="run it again")
