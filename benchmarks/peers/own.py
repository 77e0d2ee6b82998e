"""outboxctl and workers written by hand: a burst that is there already, and a stream of updates."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from types import ModuleType

from benchmarks.peers import index, writer
from outboxctl.drills.bench import fill, pipeline, process
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.net.urls import check_database_url
from outboxctl.sink.index.index_setup import count

STOP = 30.0


@dataclass(frozen=True)
class Burst:
    """Events a second from exec to exit, and from the first claim to the last settle; CPU us an event."""

    whole: float
    lanes: float
    cpu: float


def burst(rig: Rig, events: int, size: int) -> Burst:
    """Pending events, delivered and settled by a worker process, every document counted."""
    fill.pending(rig, events, size)
    run = process.drain(rig)
    _all_there(rig, events)
    return Burst(events / run.wall, pipeline.rate(rig, events, run), 1e6 * run.worker / events)


def stream(rig: Rig, size: int) -> writer.Stream:
    """The rows that the burst left, each updated once beside a worker."""
    with _worker(rig) as pid:
        return writer.stream(rig, rig.settings.elastic_index, size, {"own": pid}, events=True)


def by_hand(rig: Rig, worker: ModuleType, events: int, size: int) -> float:
    """A burst by a worker that is one file: events a second from its start to its exit."""
    fill.pending(rig, events, size)
    s = rig.settings
    urls = (check_database_url(s.require_database_url()), s.elastic_url.get_secret_value())
    started = perf_counter()
    subprocess.run(
        [sys.executable, str(worker.__file__), *urls, s.elastic_index], check=True, timeout=index.PATIENCE
    )
    seconds = perf_counter() - started
    _all_there(rig, events)
    return events / seconds


def _all_there(rig: Rig, events: int) -> None:
    must(fill.done(rig) == events, "not every event is done")
    found = count(rig.client, rig.settings.elastic_index)
    must(found == events, f"{found} documents for {events} events")


@contextmanager
def _worker(rig: Rig) -> Iterator[int]:
    log = rig.folder / "stream.log"
    with log.open("w") as out, process.begin(rig, "worker", stderr=out) as worker:
        try:
            index.wait_until(lambda: "worker started" in log.read_text(), "the worker's start")
            yield worker.pid
        finally:
            worker.terminate()
            worker.wait(STOP)
