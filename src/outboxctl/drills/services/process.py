"""Processes that outlive us, known by pid and creation time so that a recycled pid is never ended."""

import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

# A step of the system clock moves every creation time that is computed from it; no pid comes back this soon.
CLOCK_STEP_SECONDS = 2.0
POLL_SECONDS = 0.02
# The shell becomes the server once we say so; if we die before, it reads end-of-file and is gone.
GATE = 'read -r go && exec "$@" </dev/null'

_children: list[subprocess.Popen[bytes]] = []  # else Popen warns that a server outlives its Popen; it should


@contextmanager
def spawned(
    command: Sequence[str],
    *,
    cwd: Path,
    log: Path,
    account: dict[str, Any],
    env: dict[str, str] | None = None,
) -> Iterator[tuple[int, float]]:
    """Start a server detached from our terminal; the block gets its pid and creation time and records them.

    The server runs once the block ends well, and never if it does not: so none is ever unknown.
    `account` holds the keyword arguments of Popen that change the user, empty to stay who we are.
    `env` is the environment, None for ours.
    """
    gated = ["/bin/sh", "-c", GATE, "sh", *command]
    with log.open("wb") as out:
        child = subprocess.Popen(
            gated,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            cwd=cwd,
            env=env,
            start_new_session=True,
            **account,
        )
    _children.append(child)
    assert child.stdin is not None  # noqa: S101 - for mypy: it is a pipe
    with child.stdin as gate:
        yield child.pid, psutil.Process(child.pid).create_time()
        gate.write(b"go\n")


def find(pid: int, born: float) -> psutil.Process | None:
    """Return the process with this pid, if it lives and is the one that was born then."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if abs(process.create_time() - born) < CLOCK_STEP_SECONDS and _lives(process):
            return process
    return None


def end(process: psutil.Process, *, politely: signal.Signals, patience: float) -> None:
    """Signal, wait up to `patience` seconds, then kill. Returns once the process is gone."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(politely)
        if not _gone(process, patience):
            process.kill()
            _gone(process, patience)


def settle(pid: int, born: float, *, patience: float) -> None:
    """Wait for the rest of a process that has ended: a killed JVM holds its port and files for a moment."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if abs(process.create_time() - born) < CLOCK_STEP_SECONDS:
            _gone(process, patience)


def _gone(process: psutil.Process, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _lives(process) or _threads(process) > 1:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _lives(process: psutil.Process) -> bool:
    """Tell whether it still runs: an init that is slow to reap leaves a zombie, which has ended for us."""
    for child in _children:
        child.poll()
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _threads(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.num_threads())
    return 0


def occupants(folder: Path) -> Iterator[psutil.Process]:
    """Server processes at work in a data folder: what a killed server, or a lost record, left behind."""
    for process in psutil.process_iter():
        try:
            if process.name() in {"postgres", "java", "noida-db"} and Path(process.cwd()) == folder:
                yield process
        except psutil.Error:
            continue
