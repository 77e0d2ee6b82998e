"""One `outboxctl` process from start to exit, and what it cost. E: `worker --drain`, end to end."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, perf_counter, sleep

import psutil

from outboxctl.drills import services
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.rig import SERVERS, Rig, must
from outboxctl.sink.index import index_setup

OUTBOXCTL = [sys.executable, "-m", "outboxctl"]
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
PATIENCE = 120.0
BACKENDS_END = 0.2  # seconds until PostgreSQL has the CPU time of a process's ended backends
SAMPLE_INTERVAL = 0.02  # seconds between two samples of the worker's memory


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


@dataclass(frozen=True)
class EndToEnd:
    """Events a second; the run with all events, and a run with a single one.

    `start`: seconds from the line "worker started" of the run with a single event to its settle. In them it
    loads what the first batch needs, so they are part of every rate, and most of a short run's.
    """

    rate: float
    run: ProcessRun
    idle: ProcessRun
    start: float


def end_to_end(rig: Rig, events: int, size: int, *, settle_ms: float) -> EndToEnd:
    """Drain a single event, then all of them, by a worker process; see `fill_and_drain`."""
    tables.pending(rig, 1, size)
    idle = drain(rig)
    start = tables.last_settle(rig) - idle.lanes_at
    rate, run = fill_and_drain(rig, events, size, settle_ms=settle_ms)
    return EndToEnd(rate, run, idle, start)


def fill_and_drain(rig: Rig, events: int, size: int, *, settle_ms: float) -> tuple[float, ProcessRun]:
    """Fill the tables, drain them by a worker process, and count both sides; the events a second.

    The clock runs from the worker's line "worker started", just before its first claim, to the
    newest `processed_at`. That is when the last settle began, so the median duration of a settle,
    as measured beside it with the null sink, is added.
    """
    tables.pending(rig, events, size)
    run = drain(rig)
    must(tables.done(rig) == events, "not every event is done")
    documents = index_setup.count(rig.client, rig.settings.elastic_index)
    must(documents == events, f"{documents} documents for {events} events")
    return drain_rate(rig, events, run, settle_ms=settle_ms), run


def drain_rate(rig: Rig, events: int, run: ProcessRun, *, settle_ms: float = 0) -> float:
    """Events a second of a run that delivered so many, up to the start of its last settle + `settle_ms`."""
    return events / (tables.last_settle(rig) + settle_ms / 1_000 - run.lanes_at)


def drain(rig: Rig) -> ProcessRun:
    """Run a worker until nothing is due."""
    return run(rig, "worker", "--drain")


def run(rig: Rig, *args: str) -> ProcessRun:
    """Run a command to its end. Raises OutboxctlError with its output where it fails."""
    before = [rig.cpu_seconds(server) for server in SERVERS]
    log = rig.folder / f"{args[0]}.log"
    wall, worker, rss, code = timed(args, log, environment(rig), rig.patience)
    sleep(BACKENDS_END)
    must(code == 0, log.read_text())
    postgres, engine = (rig.cpu_seconds(server) - b for server, b in zip(SERVERS, before, strict=True))
    return ProcessRun(wall, worker, postgres, engine, rss, lanes_at(log))


def timed(
    args: Sequence[str], log: Path, env: Mapping[str, str] | None, patience: float
) -> tuple[float, float, float, int]:
    """Run a command in the log's folder: its seconds, CPU seconds, peak MB and exit code.

    After `patience` seconds it is killed. Memory is sampled: the kernel's own peak would include this
    process, from which it was forked.
    """
    began, peak = perf_counter(), 0
    with log.open("w") as out:
        process = subprocess.Popen([*OUTBOXCTL, *args], env=env, cwd=log.parent, stdout=out, stderr=out)
    try:
        end, watched = monotonic() + patience, psutil.Process(process.pid)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                cpu_seconds = usage.ru_utime + usage.ru_stime
                return perf_counter() - began, cpu_seconds, peak / 1e6, process.returncode
            peak = max(peak, watched.memory_info().rss)
            if monotonic() > end:
                process.kill()
            sleep(SAMPLE_INTERVAL)
    except BaseException:  # it must not use what an interrupted run removes next
        process.kill()
        raise


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
