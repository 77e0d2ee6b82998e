"""A steady stream of updates on a table that was used, emptied and vacuumed: does the worker keep up?"""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import monotonic, sleep, time

from benchmarks import rows
from benchmarks.report import Section
from benchmarks.servers import say
from outboxctl.core import benchmark_tables
from outboxctl.core.database import Database
from outboxctl.drills.bench import fill, process, sink, store
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.drills.bench.store import Drained

TITLE = "Stream"
COMMIT = 100
PATIENCE = 120.0
NOTES = f"""\
- Lag and rate: a real `outboxctl worker` process that was already running; a writer in a process of its
  own updates entities, {COMMIT} to a transaction, as fast as it can. Lag is the time from its last commit to
  the last settle (the newest `processed_at`).
- Claims are timed from taking a connection to the commit, in the product's lanes in one process, real
  sink, beside the same writer (new entities).
- Before each, the table of events is filled, drained, emptied by DELETE and vacuumed.
"""


@dataclass
class Measured:
    """A value a repetition."""

    lag: list[float] = field(default_factory=list)
    writer: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    lanes: list[Drained] = field(default_factory=list)

    def figures(self) -> list[BenchFigure]:
        return [
            BenchFigure("lag when the writer ends", "s", self.lag, digits=2),
            BenchFigure("the writer alone", "events/s", self.writer),
            BenchFigure("writer and worker", "events/s", self.rate),
            BenchFigure("claim", "ms", [each.median_claim for each in self.lanes], digits=1),
            BenchFigure("longest claim", "ms", [each.longest_claim for each in self.lanes], digits=1),
        ]


def run(rig: Rig, given: Namespace) -> Section:
    """The worker's lag, then the lanes' claims, a repetition after the other."""
    text, into = sink.text_of(rig, given.bytes), Measured()
    for number in range(1, given.repeat + 1):
        say(f"stream, repetition {number} of {given.repeat}")
        _beside_a_worker(rig, given.events, text, into)
        into.lanes.append(store.stream(rig, given.events, text, COMMIT))
        say(f"lag {into.lag[-1]:.2f} s, longest claim {into.lanes[-1].longest_claim:.0f} ms")
    about = (
        f"{given.events:,} updates, {COMMIT} to a commit, documents of {given.bytes} bytes of JSON,"
        f" {given.repeat} repetitions."
    )
    return Section(TITLE, about, into.figures(), NOTES)


def _beside_a_worker(rig: Rig, events: int, text: int, into: Measured) -> None:
    fill.pending(rig, events, text)
    process.drain(rig)
    rows.empty(rig)
    rig.checkpoint()
    with _worker(rig):
        began, ended = _written(rig, events, text)
        _wait(rig, events + 1)
    with rig.database.begin() as connection:
        last = benchmark_tables.last_settle(connection)
    into.lag.append(last - ended)
    into.writer.append(events / (ended - began))
    into.rate.append(events / (last - began))


@contextmanager
def _worker(rig: Rig) -> Iterator[None]:
    """A worker that has delivered an event: it is awake."""
    with process.serving(rig):
        rows.burst(rig, 1)
        _wait(rig, 1)
        yield


def _written(rig: Rig, events: int, text: int) -> tuple[float, float]:
    """When the writer's first transaction began and when its last one had committed."""
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    given = (there, rig.settings.require_database_url(), events, text)
    writer = context.Process(target=_write, args=given)
    writer.start()
    must(here.poll(PATIENCE), "the writer did not come to an end")
    began, ended = here.recv()
    writer.join(PATIENCE)
    return began, ended


def _write(answer: Connection, url: str, events: int, text: int) -> None:
    with closing(Database(url)) as database:
        with database.begin():
            began = time()
        fill.write(database, events, text, COMMIT)  # the same seed: the entities that are there
        answer.send((began, time()))


def _wait(rig: Rig, events: int) -> None:
    end = monotonic() + PATIENCE
    while fill.done(rig) < events:
        must(monotonic() < end, "the worker did not come to an end")
        sleep(0.1)
