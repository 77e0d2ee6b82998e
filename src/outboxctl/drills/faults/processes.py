"""Processes that are paused, resumed and ended, each identified by pid and creation time; and commands."""

import os
import shlex
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

import psutil

from outboxctl.domain.errors import InconclusiveError, OutboxctlError, UsageError
from outboxctl.drills.faults.records import FILE, Fault
from outboxctl.drills.services import process
from outboxctl.drills.services.model import Say, silent
from outboxctl.settings import Settings

PATIENCE_SECONDS = 10.0
COMMAND_SECONDS = 120.0  # for a command of the user's


def paused(target: psutil.Process) -> bool:
    """Whether it is stopped by a signal; one that has ended is not."""
    with suppress(psutil.NoSuchProcess):
        return bool(target.status() == psutil.STATUS_STOPPED)
    return False


def identity(target: psutil.Process) -> dict[str, Any]:
    """What the ledger holds of a process: no other has the same pid and creation time."""
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


def run(option: str, command: str, say: Say = silent) -> None:
    """Run a command of the user's, which must exit with 0; output goes to a file: it may leave a server."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{option} cannot be read: {error}", hint="close its quotes") from None
    if not words:
        raise UsageError(f"{option} is empty")
    say(f"running {words[0]}")
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        code = _exit_code(words, out)
        out.seek(0)
        output = out.read().strip()
    if code:
        why = f": {output[-300:]}" if output else ", without output"
        raise OutboxctlError(f"{words[0]} ended with {code}{why}")


def _exit_code(command: list[str], out: IO[str]) -> int:
    """A command that takes too long is killed alone, for a server may be its child.

    On an interruption its children are killed too, so that none does later what is undone now. Its pid
    cannot have been reused before wait(). A process of another user's (`sudo`) is not killed.
    """
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror}") from None
    try:
        return child.wait(COMMAND_SECONDS)
    except BaseException as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        with suppress(ProcessLookupError, PermissionError, subprocess.TimeoutExpired):  # it may have ended
            (os.kill if late else os.killpg)(child.pid, signal.SIGKILL)
            child.wait(1)
        if late:
            raise OutboxctlError(f"{command[0]} did not end within {COMMAND_SECONDS:g} s") from None
        raise
