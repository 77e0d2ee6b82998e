"""One `outboxctl` process from start to exit, and what it cost."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, perf_counter, sleep

import psutil

from outboxctl.drills import services
from outboxctl.drills.bench.rig import Rig, must

OUTBOXCTL = [sys.executable, "-m", "outboxctl"]
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
PATIENCE = 120.0
SERVERS = ("postgres", "engine")
BACKENDS_END = 0.2  # seconds until PostgreSQL has the CPU time of a process's ended backends
LOOK = 0.02  # seconds between two samples of the worker's memory


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


def drain(rig: Rig) -> ProcessRun:
    """Run a worker until nothing is due."""
    return run(rig, "worker", "--drain")


def run(rig: Rig, *args: str) -> ProcessRun:
    """Run a command to its end. Raises OutboxctlError with its output where it fails."""
    before = [rig.spent(whose) for whose in SERVERS]
    log = rig.folder / f"{args[0]}.log"
    started = perf_counter()
    with log.open("w") as out:
        command = [*OUTBOXCTL, *args]
        process = subprocess.Popen(command, env=environment(rig), cwd=rig.folder, stdout=out, stderr=out)
    try:
        worker, rss = _watch(process, rig.patience)
    except BaseException:  # it must not use what an interrupted run removes next
        process.kill()
        raise
    wall = perf_counter() - started
    sleep(BACKENDS_END)
    must(process.returncode == 0, log.read_text())
    postgres, engine = (rig.spent(whose) - b for whose, b in zip(SERVERS, before, strict=True))
    return ProcessRun(wall, worker, postgres, engine, rss, lanes_at(log))


def _watch(process: subprocess.Popen[bytes], patience: float) -> tuple[float, float]:
    """CPU seconds and peak MB of a process until its end; after `patience` seconds it is killed.

    Memory is sampled: the kernel's own peak would include this process, from which it was forked.
    """
    end, peak, watched = monotonic() + patience, 0, psutil.Process(process.pid)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_utime + usage.ru_stime, peak / 1e6
        peak = max(peak, watched.memory_info().rss)
        if monotonic() > end:
            process.kill()
        sleep(LOOK)


def environment(rig: Rig) -> dict[str, str]:
    """A command's environment: the rig's URLs and settings, and none of the developer's settings."""
    s = rig.settings
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {
        **rig.environment,
        "DATABASE_URL": s.require_database_url(),
        "ELASTIC_URL": s.elastic_url.get_secret_value(),
        "ELASTIC_INDEX": s.elastic_index,
        "OUTBOX_BULK_SIZE": str(s.bulk_size),
        "OUTBOX_MAX_BATCH_BYTES": str(s.max_batch_bytes),
        "OUTBOX_CONCURRENCY": str(s.concurrency),
        "OUTBOX_METRICS_PORT": str(services.fresh_port()),
    }


def lanes_at(log: Path) -> float:
    """When a worker logged that its lanes start, in seconds since the epoch; 0 before."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    starts = [line["timestamp"] for line in lines if line.get("event") == "worker started"]
    return datetime.fromisoformat(starts[0]).timestamp() if starts else 0.0
