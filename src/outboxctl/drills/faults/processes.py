"""Processes that are paused, resumed and ended, each known by pid and creation time."""

import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import psutil

from outboxctl.domain.errors import InconclusiveError, UsageError
from outboxctl.drills.services import process

PATIENCE_SECONDS = 10.0
END_SECONDS = 30.0
POLL_SECONDS = 0.02


def paused(found: psutil.Process) -> bool:
    """Whether it is stopped by a signal; one that has ended is not."""
    with suppress(psutil.NoSuchProcess):
        return bool(found.status() == psutil.STATUS_STOPPED)
    return False


def identity(found: psutil.Process) -> dict[str, Any]:
    """What the ledger keeps of a process: no other has the same pid and creation time."""
    return {"pid": found.pid, "born": found.create_time(), "host": socket.gethostname()}


def resume_if_there(facts: dict[str, Any]) -> None:
    """Let the process of this identity go on, if it still lives. UsageError for one of another machine."""
    if facts["host"] != socket.gethostname():
        hint = "run this there, or, if it is gone, `outboxctl chaos undo --forget`"
        raise UsageError(f"process {facts['pid']} is on {facts['host']}", hint=hint)
    if found := process.find(facts["pid"], facts["born"]):
        resume(found)


def pause(found: psutil.Process) -> None:
    """Stop it where it is, with SIGSTOP, and wait until it is."""
    if paused(found):
        raise UsageError(f"process {found.pid} is paused already", hint="see `outboxctl chaos list`")
    try:
        _send(found, signal.SIGSTOP)
    except psutil.NoSuchProcess:
        raise UsageError(f"process {found.pid} has just ended", hint="there is nothing to pause") from None
    _wait(lambda: paused(found), f"process {found.pid} was not paused")


def resume(found: psutil.Process) -> None:
    """Let it go on."""
    with suppress(psutil.NoSuchProcess):
        _send(found, signal.SIGCONT)
        _wait(lambda: not paused(found), f"process {found.pid} does not go on")


def kill(found: psutil.Process) -> None:
    """End it with SIGKILL, as the kernel does when memory is short, and wait until it is gone."""
    _end(found, signal.SIGKILL, PATIENCE_SECONDS)


def terminate(found: psutil.Process) -> None:
    """End it with SIGTERM, and wait until it is gone; one that does not go is left alone."""
    _end(found, signal.SIGTERM, END_SECONDS)


def _end(found: psutil.Process, number: signal.Signals, patience: float) -> None:
    with suppress(psutil.NoSuchProcess):
        born = found.create_time()
        _send(found, number)
        _wait(lambda: process.find(found.pid, born) is None, f"process {found.pid} does not end", patience)


def _send(found: psutil.Process, number: signal.Signals) -> None:
    try:
        found.send_signal(number)  # compares the creation time first
    except psutil.AccessDenied:
        raise UsageError(f"process {found.pid} is another user's", hint="run this as that user") from None


def _wait(condition: Callable[[], bool], otherwise: str, patience: float = PATIENCE_SECONDS) -> None:
    end = monotonic() + patience
    while not condition():
        if monotonic() > end:
            raise InconclusiveError(otherwise, hint=f"it was given {patience:g} s")
        sleep(POLL_SECONDS)
