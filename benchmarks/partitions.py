"""`python -m benchmarks.partitions`: what a dozen partitions cost a worker, and what they save a prune.

With the default sizes some minutes.
"""

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

from benchmarks import partition_rows as rows
from benchmarks import report
from benchmarks.servers import ending, say, started
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.schema.namespaces import create_schema
from outboxctl.drills.bench import fill, lanes, pipeline, process
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.settings import Settings

BYTES = 600  # text of a source row
TITLE = "Partitions"
NOTES = f"""\
- Two outboxes on one server: a plain table, and one of {rows.PARTITIONS} partitions of 30 days and a default
  one, as `docs/operators-desk/partitions.md` makes it. Both hold the same done rows of eleven months; what is
  delivered is of this month.
- Claim and settle: the product's lanes with a sink that takes everything at once. End to end: a real
  `worker --drain` and a real Elasticsearch. Plain and partitioned by turns, the other way round each time;
  the ratio is that of each pair.
- Retention, once, of all rows but today's: `outboxctl prune` at full speed on the plain table, and the
  vacuum that it leaves to do; a detach, the check that all is done, and DROP on the other, a transaction for
  each partition. WAL by pg_wal_lsn_diff. Left: tables and indexes on disk, before that vacuum.
"""


@dataclass
class Pair:
    """A value a repetition of either layout."""

    plain: list[float] = field(default_factory=list)
    partitioned: list[float] = field(default_factory=list)

    def figures(self, name: str) -> list[BenchFigure]:
        ratio = [parts / plain for plain, parts in zip(self.plain, self.partitioned, strict=True)]
        return [
            BenchFigure(f"{name}, plain", "events/s", self.plain),
            BenchFigure(f"{name}, partitioned", "events/s", self.partitioned),
            BenchFigure(f"{name}, partitioned/plain", "", ratio, digits=2),
        ]


def main() -> None:
    given = _arguments()
    with ending(), started() as plain, _partitioned(plain) as partitioned:
        print(_benchmark(plain, partitioned, given))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partitions", description=__doc__)
    parser.add_argument("--done", type=int, default=2_000_000, help="done rows in either outbox")
    parser.add_argument("--events", type=int, default=50_000, help="that are delivered each time")
    parser.add_argument("--repeat", type=int, default=5)
    return parser.parse_args()


@contextmanager
def _partitioned(plain: Rig) -> Iterator[Rig]:
    """The same servers with an outbox in a schema of its own."""
    url = create_schema(plain.settings.require_database_url(), "partitioned")
    settings = Settings(**plain.settings.model_dump() | {"database_url": url})
    with closing(Database(url)) as database:
        with database.begin() as connection:
            rows.partition(connection)
        upgrade(database, None)
        yield replace(plain, settings=settings, database=database)


def _benchmark(plain: Rig, partitioned: Rig, given: argparse.Namespace) -> str:
    for name, rig in (("plain", plain), ("partitioned", partitioned)):
        say(f"{given.done:,} done rows, {name}")
        rows.make(rig, given.done)
        _null(rig, given.events, 0)
        _whole(rig, given.events, 1)  # both warm up
    null, whole = Pair(), Pair()
    for number in range(1, given.repeat + 1):
        for name in ("plain", "partitioned") if number % 2 else ("partitioned", "plain"):
            rig = plain if name == "plain" else partitioned
            getattr(null, name).append(_null(rig, given.events, 2 * number))
            getattr(whole, name).append(_whole(rig, given.events, 2 * number + 1))
            rates = f"{getattr(null, name)[-1]:,.0f}/s, end to end {getattr(whole, name)[-1]:,.0f}/s"
            say(f"repetition {number} of {given.repeat}, {name}: claim and settle {rates}")
    figures = [*null.figures("claim and settle"), *whole.figures("end to end")]
    figures += [*_prune(plain, given.done), *_drop(partitioned)]
    command = report.command("benchmarks.partitions", vars(given))
    about = f"{given.done:,} done rows, {given.events:,} events each time, {given.repeat} repetitions."
    on = surroundings(plain.versions)
    return report.write_section(TITLE, command=command, about=about, on=on, figures=figures, notes=NOTES)


def _null(rig: Rig, events: int, seed: int) -> float:
    rows.pending(rig, events, BYTES, seed)
    begun = perf_counter()
    with lanes.running(rig, lanes.NullSink(), drain=True):
        pass
    seconds = perf_counter() - begun
    must(rows.under_way(rig) == 0, "not every event is done")
    return events / seconds


def _whole(rig: Rig, events: int, seed: int) -> float:
    fill.fresh_index(rig)
    rows.pending(rig, events, BYTES, seed)
    return pipeline.rate(rig, events, process.drain(rig))


def _prune(rig: Rig, done: int) -> list[BenchFigure]:
    before = rows.wal(rig)
    said = process.answer(rig, "prune", "--older-than", "1d", "--rate", "1000000")[1]
    must(said["pruned"] == done, f"{said['pruned']} rows were pruned")
    wal, left = rows.wal(rig) - before, rows.megabytes(rig)
    begun = perf_counter()
    fill.vacuum(rig)
    figures = _retention("prune", said["seconds"], wal, left)
    return [*figures, BenchFigure("vacuum after the prune", "s", [perf_counter() - begun], digits=1)]


def _drop(rig: Rig) -> list[BenchFigure]:
    before, begun = rows.wal(rig), perf_counter()
    rows.drop_old(rig)
    seconds = perf_counter() - begun
    return _retention("detach and drop", seconds, rows.wal(rig) - before, rows.megabytes(rig))


def _retention(name: str, seconds: float, wal: float, left: float) -> list[BenchFigure]:
    say(f"{name}: {seconds:.2f} s, {wal:,.1f} MB of WAL, {left:,.1f} MB left")
    return [
        BenchFigure(name, "s", [seconds], digits=2),
        BenchFigure(f"{name}, WAL", "MB", [wal], digits=1),
        BenchFigure(f"{name}, left on disk", "MB", [left], digits=1),
    ]


if __name__ == "__main__":
    main()
