"""Processes of this machine that are paused, resumed and killed; workers are verified first.

A process is identified by pid and creation time: no other process has both.
"""

import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from outboxctl.core.stats.workers import WorkerRow
from outboxctl.domain.errors import InconclusiveError, UsageError
from outboxctl.domain.printable import brief
from outboxctl.drills.faults.records import FILE, Fault, PlannedFault
from outboxctl.drills.services import process
from outboxctl.drills.services.model import Say
from outboxctl.settings import Settings

WORKER_PAUSED = "worker-paused"
PATIENCE_SECONDS = 10.0
STARTING_SECONDS = 60.0  # from the process's birth to what its row calls its start; a busy machine is slow
CLOCKS_SECONDS = 5.0


def paused(target: psutil.Process) -> bool:
    """Whether it is stopped by a signal; one that has ended is not."""
    with suppress(psutil.NoSuchProcess):
        return bool(target.status() == psutil.STATUS_STOPPED)
    return False


def identity(target: psutil.Process) -> dict[str, Any]:
    """Return what the ledger holds of a process: no other has the same pid and creation time."""
    return {"pid": target.pid, "born": target.create_time(), "host": socket.gethostname()}


def undo_pause(fault: Fault, _: Settings, __: Say) -> None:
    """Resume the paused process, if it still runs. UsageError for one of another machine."""
    facts = fault.facts
    if facts["host"] != socket.gethostname():
        hint = f"run this there, or, if it is gone, delete the fault from {FILE}"
        raise UsageError(f"process {facts['pid']} is on {facts['host']}", hint=hint)
    if target := process.find(facts["pid"], facts["born"]):
        resume(target)


def pause(target: psutil.Process) -> None:
    """Stop it where it is, with SIGSTOP, and wait until it is."""
    try:
        _send(target, signal.SIGSTOP)
    except psutil.NoSuchProcess:
        raise UsageError(f"process {target.pid} has just ended", hint="there is nothing to pause") from None
    _wait(lambda: paused(target), f"process {target.pid} was not paused")


def resume(target: psutil.Process) -> None:
    """Let it continue, with SIGCONT."""
    with suppress(psutil.NoSuchProcess):
        _send(target, signal.SIGCONT)
        _wait(lambda: not paused(target), f"process {target.pid} does not continue")


def kill(target: psutil.Process) -> None:
    """End it with SIGKILL, as the kernel does when memory is short, and wait until it has ended."""
    with suppress(psutil.NoSuchProcess):
        _send(target, signal.SIGKILL)
        _wait(lambda: not process.lives(target), f"process {target.pid} does not end")


def _send(target: psutil.Process, number: signal.Signals) -> None:
    try:
        target.send_signal(number)  # compares the creation time first
    except psutil.AccessDenied:
        raise UsageError(f"process {target.pid} is another user's", hint="run this as that user") from None


def _wait(condition: Callable[[], bool], otherwise: str) -> None:
    if not process.within(PATIENCE_SECONDS, condition):
        raise InconclusiveError(otherwise, hint=f"waited {PATIENCE_SECONDS:g} s")


@dataclass(frozen=True)
class VerifiedProcess:
    """A row of `outbox_workers` and the process of this machine that wrote it."""

    row: WorkerRow
    process: psutil.Process

    @property
    def name(self) -> str:
        """Return worker id and pid for people."""
        return f"worker {brief(self.row.worker_id, 120)} (pid {self.row.pid})"


def chosen_workers(
    rows: Sequence[WorkerRow], now: datetime, *, worker_id: str | None = None, every: bool = False
) -> list[VerifiedProcess]:
    """Return the workers of this name that run on this machine, or all; without a choice the only one.

    `now` is the database's time. A process must have the host, pid and age of a row, and a command line that
    runs `outboxctl worker`. A row without a recent heartbeat counts as well: its worker may be paused, or
    starved. UsageError for none, or several.
    """
    host = socket.gethostname()[:255]
    here = [
        VerifiedProcess(row, found) for row in rows if row.host == host and (found := _worker_of(row, now))
    ]
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


def pause_worker(each: VerifiedProcess) -> PlannedFault:
    """Plan to pause a worker. UsageError if it is paused already."""
    if paused(each.process):
        raise UsageError(f"{each.name} is paused already", hint="see `outboxctl chaos undo --dry-run`")
    fault = Fault(WORKER_PAUSED, f"{each.name} is paused", identity(each.process))
    return PlannedFault(fault, lambda: pause(each.process))


def _worker_of(row: WorkerRow, now: datetime) -> psutil.Process | None:
    with suppress(psutil.Error):
        found = psutil.Process(row.pid)
        if row.started_at and runs_worker(found.cmdline()):
            # Ages are compared, not times of day: the database's clock may differ from this machine's.
            starting = time.time() - found.create_time() - (now - row.started_at).total_seconds()
            return found if -CLOCKS_SECONDS <= starting <= STARTING_SECONDS else None
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
