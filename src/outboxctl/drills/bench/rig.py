"""The rig: the database and the index that are measured, and the CPU clocks of their servers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from outboxctl.core.database import Database
from outboxctl.domain.errors import OutboxctlError
from outboxctl.settings import Settings
from outboxctl.sink.transport.client import Client

Clock = Callable[[], float]
SERVERS = ("postgres", "engine")


@dataclass(frozen=True)
class Rig:
    """A migrated database and an index; all that is in the tables and the index of `settings` is the rig's.

    `cpu` holds CPU seconds so far of `postgres` and `engine`, with their children; empty where they run
    on other machines. `checkpoint` makes PostgreSQL write out everything, so that it does not do so during a
    measurement; it does nothing where the server does not permit it. Workers are started in `folder`, which
    has no `.env`, with `environment` beside the settings, such as the sink's credentials. A command that
    takes longer than `patience` seconds is killed.
    """

    settings: Settings
    database: Database
    client: Client
    folder: Path
    versions: Mapping[str, str] = field(default_factory=dict)
    cpu: Mapping[str, Clock] = field(default_factory=dict)
    checkpoint: Callable[[], None] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)
    require_alias: bool = True  # whether the sink supports the option of that name
    patience: float = 120.0

    def tuned(self, *, concurrency: int, bulk_size: int) -> "Rig":
        """The same rig with so many lanes and so many events a batch."""
        update = {"concurrency": concurrency, "bulk_size": bulk_size}
        return replace(self, settings=self.settings.model_copy(update=update))

    def cpu_seconds(self, server: str) -> float:
        """CPU seconds of `postgres` or `engine` so far; 0 where that cannot be read."""
        return self.cpu[server]() if server in self.cpu else 0.0


def must(holds: bool, otherwise: str) -> None:
    """Raise OutboxctlError, which ends the run, where a condition of the measurement does not hold."""
    if not holds:
        raise OutboxctlError(f"the measurement is void: {otherwise}", hint="run it again")
