"""Worker processes of this machine, each verified before a signal is sent."""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from outboxctl.core.stats.workers import WorkerRow
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.drills.faults import processes
from outboxctl.drills.faults.records import Fault, PlannedFault

PAUSED = "worker-paused"
STARTING_SECONDS = 60.0  # from the process's birth to what its row calls its start; a busy machine is slow
CLOCKS_SECONDS = 5.0


@dataclass(frozen=True)
class VerifiedProcess:
    """A row of `outbox_workers` and the process of this machine that wrote it."""

    row: WorkerRow
    process: psutil.Process

    @property
    def name(self) -> str:
        """For people."""
        return f"worker {brief(self.row.worker_id, 120)} (pid {self.row.pid})"


def chosen(
    rows: Sequence[WorkerRow], now: datetime, *, worker_id: str | None = None, every: bool = False
) -> list[VerifiedProcess]:
    """Those of this name that run on this machine, or all; without a choice the only one.

    `now` is the database's time. A process must have the host, pid and age of a row, and a command line that
    runs `outboxctl worker`. A row without a recent heartbeat counts as well: its worker may be paused, or
    starved. UsageError for none, or several.
    """
    host = socket.gethostname()[:255]
    here = [VerifiedProcess(row, found) for row in rows if row.host == host and (found := _process(row, now))]
    known = [each for each in here if worker_id in (None, each.row.worker_id)]
    names = ", ".join(each.name for each in here[:10])
    hint = f"there are: {names}" if names else "`outboxctl status` shows the workers of all machines"
    if not known:
        away = next((row for row in rows if row.host != host and row.worker_id == worker_id), None)
        unproved = "no process here is proved to be a worker of that name"
        why = "no worker runs here" if worker_id is None else unproved
        if away:
            name, where = brief(away.worker_id, 120), brief(away.host, 120)
            why = f"worker {name} (pid {away.pid}) runs on {where}, not here: go there"
        raise UsageError(why, hint=hint)
    if len(known) > 1 and not every:
        raise UsageError(f"{len(known)} workers fit", hint=f"say --id or --all: {hint}")
    return known


def pause(each: VerifiedProcess) -> PlannedFault:
    """A worker paused. UsageError if it is already."""
    if processes.paused(each.process):
        raise UsageError(f"{each.name} is paused already", hint="see `outboxctl chaos undo --dry-run`")
    fault = Fault(PAUSED, f"{each.name} is paused", processes.identity(each.process))
    return PlannedFault(fault, lambda: processes.pause(each.process))


def _process(row: WorkerRow, now: datetime) -> psutil.Process | None:
    with suppress(psutil.Error):
        process = psutil.Process(row.pid)
        if row.started_at and runs_worker(process.cmdline()):
            # Ages are compared, not times of day: the database's clock may differ from this machine's.
            starting = time.time() - process.create_time() - (now - row.started_at).total_seconds()
            return process if -CLOCKS_SECONDS <= starting <= STARTING_SECONDS else None
    return None


def runs_worker(words: Sequence[str]) -> bool:
    """Whether a command line is `outboxctl worker`, or Python's way to run it."""
    program = next(
        (n for n, word in enumerate(words[:6]) if Path(word).name in {"outboxctl", "__main__.py"}), None
    )
    if program is None:
        return False
    command = list(words[program + 1 :])
    while command and command[0].startswith("--"):  # those before the command take a value each
        del command[: 1 if "=" in command[0] else 2]
    if command[:1] != ["worker"]:
        return False
    return program == 0 or Path(words[0]).name.startswith(("python", "pypy"))
