"""Servers that outlive the command that started them, identified by pid and creation time."""

import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

# A step of the system clock moves every creation time that is computed from it; no pid is reused this soon.
CLOCK_STEP_SECONDS = 2.0
POLL_SECONDS = 0.02
LOG_LINES = 15
# The shell becomes the server once it reads a line; if this process dies before, it reads end-of-file.
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
    """Start a server in a session of its own; the block records its pid and creation time.

    The server runs once the block ends, and never if it raises: so none runs without a record.
    `account` holds the keyword arguments of Popen that change the user, if any.
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
    """Return the running process with this pid and creation time, if there is one."""
    return process if (process := _with_pid(pid, born)) and lives(process) else None


def _with_pid(pid: int, born: float) -> psutil.Process | None:
    """The process with this pid and creation time, a zombie too."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return process if abs(process.create_time() - born) < CLOCK_STEP_SECONDS else None
    return None


def end(process: psutil.Process, number: signal.Signals, *, patience: float) -> None:
    """Signal, wait up to `patience` seconds, then kill. Returns once the process has ended."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
        if not _gone(process, patience):
            process.kill()
            _gone(process, patience)


def settle(pid: int, born: float, *, patience: float) -> None:
    """Wait until a process that was killed has released its port and files: a JVM takes a moment."""
    if process := _with_pid(pid, born):
        _gone(process, patience)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; False if it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return met


def _gone(process: psutil.Process, seconds: float) -> bool:
    return within(seconds, lambda: not lives(process) and _threads(process) <= 1)


def lives(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie, which waits for its parent, does not."""
    for child in _children:
        child.poll()
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def listens(server: psutil.Process, port: int) -> bool:
    """Whether it listens on this port; of one whose sockets this user may not see, whether it runs."""
    try:
        sockets = server.net_connections("tcp")
    except psutil.AccessDenied:  # root without CAP_SYS_PTRACE, as in a container
        return lives(server)
    except psutil.NoSuchProcess:
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets)


def _threads(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.num_threads())
    return 0


def occupants(folder: Path) -> Iterator[psutil.Process]:
    """Server processes at work in a data folder: those of a killed server, or a lost record."""
    for process in psutil.process_iter():
        try:
            if process.name() in {"postgres", "java", "noida-db"} and Path(process.cwd()) == folder:
                yield process
        except psutil.Error:
            continue


def log_tail(log: Path) -> str:
    """For a hint: the last lines of a server's log."""
    if not log.exists():
        return f"no log at {log}"
    with log.open(errors="replace") as file:
        tail = "".join(deque(file, maxlen=LOG_LINES))
    return f"{log} ends:\n{tail.rstrip()}"
