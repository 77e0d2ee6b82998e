"""`outboxctl` commands as processes: what one costs from start to exit, or a worker beside a measurement."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import IO

import psutil

from benchmarks import tables
from benchmarks.rig import PATIENCE, SERVERS, Rig, must

OUTBOXCTL = [sys.executable, "-m", "outboxctl"]
BY = ("--by", "bench", "--reason", "bench", "--yes")
SOON = 120.0  # seconds
BACKENDS_END = 0.2  # seconds until PostgreSQL has the CPU time of a process's ended backends
SAMPLE_INTERVAL = 0.02  # seconds between two samples of a command's memory


@dataclass(frozen=True)
class ProcessRun:
    """Seconds of wall clock, of its own CPU and of the servers'; peak memory in MB.

    `lanes_at` is when a worker logged that its lanes start, in seconds since the epoch; else 0.
    """

    wall: float
    worker: float
    postgres: float
    engine: float
    rss: float
    lanes_at: float


def run(rig: Rig, *args: str) -> ProcessRun:
    """Run a command to its end. Raises OutboxctlError with its output where it fails."""
    before = [rig.cpu_seconds(server) for server in SERVERS]
    log = rig.folder / f"{args[0]}.log"
    wall, worker, rss, code = _timed(rig, log, *args)
    sleep(BACKENDS_END)
    must(code == 0, log.read_text())
    postgres, engine = (rig.cpu_seconds(server) - b for server, b in zip(SERVERS, before, strict=True))
    return ProcessRun(wall, worker, postgres, engine, rss, lanes_at(log))


def _timed(rig: Rig, log: Path, *args: str) -> tuple[float, float, float, int]:
    """Run a command: its seconds, CPU seconds, peak MB and exit code.

    Memory is sampled: the kernel's own peak would include this process, from which it was forked.
    """
    began, peak = perf_counter(), 0
    with log.open("w") as out:
        process = begin(rig, *args, stdout=out, stderr=out)
    try:
        end, watched = monotonic() + PATIENCE, psutil.Process(process.pid)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                cpu_seconds = usage.ru_utime + usage.ru_stime
                return perf_counter() - began, cpu_seconds, peak / 1e6, process.returncode
            peak = max(peak, watched.memory_info().rss)
            must(monotonic() < end, f"{args} did not end")
            sleep(SAMPLE_INTERVAL)
    except BaseException:  # it must not use what an interrupted run removes next
        process.kill()
        raise


def drain(rig: Rig) -> ProcessRun:
    """Run a worker until nothing is due."""
    return run(rig, "worker", "--drain")


def drain_rate(rig: Rig, events: int, ran: ProcessRun, *, settle_ms: float = 0) -> float:
    """Events a second, from the worker's line "worker started" to the start of its last settle + `settle_ms`.

    That line is just before the first claim; the start of a settle is the newest `processed_at`.
    """
    return events / (tables.last_settle(rig) + settle_ms / 1_000 - ran.lanes_at)


def lanes_at(log: Path) -> float:
    """When a worker logged that its lanes start, in seconds since the epoch; 0 before."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    starts = [line["timestamp"] for line in lines if line.get("event") == "worker started"]
    return datetime.fromisoformat(starts[0]).timestamp() if starts else 0.0


def begin(
    rig: Rig, *args: str, stdout: IO[str] | int = subprocess.PIPE, stderr: IO[str] | int | None = None
) -> subprocess.Popen[str]:
    """Start a command."""
    command, env = [*OUTBOXCTL, *args], rig.environment()
    return subprocess.Popen(command, env=env, cwd=rig.folder, stdout=stdout, stderr=stderr, text=True)


@contextmanager
def serving(rig: Rig) -> Iterator[subprocess.Popen[str]]:
    """A worker that has started, and is stopped by SIGTERM at the end."""
    log = rig.folder / "worker.log"
    with log.open("w") as out:
        process = begin(rig, "worker", stderr=out)
    try:
        wait_until(lambda: lanes_at(log) or process.poll() is not None, "the worker's start", 0.02)
        must(process.poll() is None, log.read_text())
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=SOON)


def wait_until(
    holds: Callable[[], object], what: str, interval: float = 0.1, *, patience: float = SOON
) -> None:
    """Raises OutboxctlError if it does not come true in so many seconds."""
    end = monotonic() + patience
    while not holds():
        must(monotonic() < end, f"{what} did not happen in {patience:g} s")
        sleep(interval)


def wait_done(rig: Rig, events: int) -> None:
    """Wait until so many events are done."""
    wait_until(lambda: tables.done(rig) >= events, f"the settling of {events} events")


def help_ms(runs: int) -> list[float]:
    """Milliseconds of `outboxctl --help`, after one run that fills the disk's cache."""
    times = []
    for _ in range(runs + 1):
        started = perf_counter()
        # No timeout: waiting with one polls every 50 ms.
        subprocess.run([*OUTBOXCTL, "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(1_000 * (perf_counter() - started))
    return times[1:]
