"""The record of a fault, and the file of records."""

import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services import process
from outboxctl.drills.services.record import write_json
from outboxctl.settings.folders import state_folder

FILE = "faults.json"
GRACE = timedelta(seconds=5)  # beyond its time until a holder that runs counts as stuck


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Fault:
    """A fault under way. `what` is for people; `facts` is all that its undoing needs, JSON, no secrets.

    `pid` and `born` identify its holder, a process of `host`; both are None for one that stays until undone.
    `seen`: its effect was observed. Without, it may have begun all the same, or begin yet.
    """

    kind: str
    what: str
    facts: dict[str, Any]
    id: str = field(default_factory=lambda: uuid4().hex[:8])
    host: str = field(default_factory=socket.gethostname)
    since: datetime = field(default_factory=_now)
    until: datetime | None = None
    pid: int | None = None
    born: float | None = None
    seen: bool = False

    @property
    def left_over(self) -> bool:
        """Whether its holder, of this host, has ended, or its time has been over for `GRACE`."""
        if self.pid is None or self.born is None or self.host != socket.gethostname():
            return False
        overdue = self.until is not None and _now() > self.until + GRACE
        return overdue or process.find(self.pid, self.born) is None

    @property
    def held_here(self) -> bool:
        """Whether this process holds it, or the program that it was before exec()."""
        return (self.pid, self.host) == (os.getpid(), socket.gethostname())

    @classmethod
    def from_json(cls, read: dict[str, Any]) -> "Fault":
        """Read what `save` wrote. KeyError, TypeError or ValueError where it is something else."""
        since, until = read["since"], read["until"]
        return cls(**read | {"since": _moment(since), "until": until and _moment(until)})


class PlannedFault(NamedTuple):
    """A fault that has not begun; `begin` returns once its effect is observed."""

    fault: Fault
    begin: Callable[[], None]


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no zone: {text}")
    return moment


def folder(state: Path | None = None) -> Path:
    """Where the ledger of a state folder is."""
    return state_folder(state) / "chaos"


def any_active() -> bool:
    """Whether there may be faults; quick, for each command of a group asks first."""
    return os.path.exists(folder() / FILE)  # False too where the folder cannot be read: `load` raises there


def load(where: Path) -> list[Fault]:
    """The faults of the file. UsageError where it is damaged."""
    path = where / FILE
    try:
        return [Fault.from_json(each) for each in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "look what is still broken, repair it by hand, then delete the file"
        raise UsageError(f"{path} is damaged: {error}", hint=hint) from None


def save(where: Path, faults: list[Fault]) -> None:
    """Replace the file as a whole, on disk before anything is broken; without faults there is none."""
    if not faults:
        (where / FILE).unlink(missing_ok=True)
        return
    write_json(where / FILE, [asdict(fault) for fault in faults])
