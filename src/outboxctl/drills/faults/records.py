"""The record of a fault, and the file of records."""

import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from outboxctl.drills.services import process
from outboxctl.drills.services.model import read_json, write_json
from outboxctl.settings.folders import state_folder

FILE = "faults.json"


@dataclass(frozen=True)
class Fault:
    """A fault: `facts` (JSON, no secrets) undo it; `pid`, `born`, `host`: its holder, None if it stays."""

    kind: str
    what: str
    facts: dict[str, Any]
    id: str = field(default_factory=lambda: uuid4().hex[:8])
    host: str = field(default_factory=socket.gethostname)
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    pid: int | None = None
    born: float | None = None

    @property
    def left_over(self) -> bool:
        """Whether its holder, of this host, has ended."""
        if self.pid is None or self.born is None or self.host != socket.gethostname():
            return False
        return process.find(self.pid, self.born) is None


class PlannedFault(NamedTuple):
    """A fault that has not begun; `begin` returns once its effect is observed."""

    fault: Fault
    begin: Callable[[], object]


def folder(state: Path | None = None) -> Path:
    """Return the folder of the ledger in a state folder."""
    return state_folder(state) / "chaos"


def load(where: Path) -> list[Fault]:
    """The faults of the file. UsageError where it is damaged."""
    hint = "look what is still broken, repair it by hand, then delete the file"
    return read_json(where / FILE, lambda facts: Fault(**facts), hint=hint)


def save(where: Path, faults: list[Fault]) -> None:
    """Replace the file as a whole, on disk before anything is broken; without faults there is none."""
    if not faults:
        (where / FILE).unlink(missing_ok=True)
        return
    write_json(where / FILE, [asdict(fault) for fault in faults])
