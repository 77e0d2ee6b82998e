"""Commands that stop or start a sink, run without a shell."""

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.drills.faults.sink_controls.model import PATIENCE_SECONDS
from outboxctl.drills.services.model import Say, silent


def words(flag: str, command: str | None) -> list[str]:
    """The words of a command line. UsageError where there are none, or a quote is not closed."""
    try:
        words = shlex.split(command or "")
    except ValueError as error:
        raise UsageError(f"{flag} cannot be read: {error}", hint="close its quotes") from None
    if not words:
        raise UsageError(f"{flag} is needed for that")
    return words


def run(command: list[str], say: Say = silent, within: float = PATIENCE_SECONDS) -> str:
    """Run a command that must end well; returns what it printed. Raises OutboxctlError.

    Its output goes to a file: a server that it leaves in the background would hold a pipe open.
    """
    say(f"running {command[0]}")
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        code = _ended(command, out, within)
        out.seek(0)
        said = out.read()
    if code:
        why = f": {said.strip()[-300:]}" if said.strip() else ", and said nothing"
        raise OutboxctlError(f"{command[0]} ended with {code}{why}")
    return said


def _ended(command: list[str], out: IO[str], within: float) -> int:
    """Its exit code. One that takes too long is killed alone, for a server may be its child.

    If we are interrupted, it goes with its children, so that none does later what we undo now.
    """
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror}") from None
    try:
        return process.wait(within)
    except subprocess.TimeoutExpired:
        _kill(process, os.kill)
        raise OutboxctlError(f"{command[0]} did not end within {within:g} s") from None
    except BaseException:
        _kill(process, os.killpg)
        raise


def _kill(process: "subprocess.Popen[bytes]", kill: Callable[[int, int], None]) -> None:
    """It was not waited for, so its number is its own yet. One of another user's (`sudo`) lives on."""
    with suppress(PermissionError, subprocess.TimeoutExpired):
        kill(process.pid, signal.SIGKILL)
        process.wait(1)
