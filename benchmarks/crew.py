"""Several workers at once, each a process of its own with the product's lanes; all begin together."""

from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from time import perf_counter, process_time

from outboxctl.core.database import Database
from outboxctl.drills.bench import fill
from outboxctl.drills.bench.lanes import NullSink, running
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.settings import Settings
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect

PATIENCE = 120.0


@dataclass(frozen=True)
class Crew:
    """Events a second, and how many cores the workers and PostgreSQL used for it."""

    rate: float
    workers_cores: float
    postgres_cores: float


def drain(rig: Rig, events: int, settings: Settings, *, workers: int, real: bool) -> Crew:
    """Drain what is pending; from the common start to the end of the last, without anyone's start-up."""
    context = get_context("spawn")
    start, pipes, crew = context.Barrier(workers + 1), [], []
    for _ in range(workers):
        here, there = context.Pipe(duplex=False)
        pipes.append(here)
        crew.append(context.Process(target=_work, args=(there, start, settings, real), daemon=True))
        crew[-1].start()
    start.wait(PATIENCE)
    before = rig.spent("postgres")
    must(all(pipe.poll(PATIENCE) for pipe in pipes), "a worker did not come to an end")
    spans = [pipe.recv() for pipe in pipes]
    for worker in crew:
        worker.join(PATIENCE)
    must(fill.done(rig) == events, "not every event is done")
    wall = max(end for _, end, _ in spans) - min(begin for begin, _, _ in spans)
    cores = sum(cpu for _, _, cpu in spans) / wall
    return Crew(events / wall, cores, (rig.spent("postgres") - before) / wall)


def _work(answer: Connection, start: Barrier, settings: Settings, real: bool) -> None:
    database = Database(settings.require_database_url())
    with closing(connect(settings)) as client, closing(database):
        sink = ElasticSink(client, settings.elastic_index) if real else NullSink()
        rig = Rig(settings, database, client, Path())
        start.wait(PATIENCE)
        began, cpu = perf_counter(), process_time()  # this clock is the same for all processes
        with running(rig, sink, drain=True):
            pass
        answer.send((began, perf_counter(), process_time() - cpu))
