"""`python -m benchmarks.partitions`: what a dozen partitions cost a worker, and what they save a prune.

With the default sizes some minutes.
"""

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count
from time import perf_counter

from benchmarks import rows
from benchmarks.command import main, ratios, repeated
from benchmarks.processes import answer
from benchmarks.report import Section
from benchmarks.rows import Past
from benchmarks.servers import say
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.schema.names import EVENTS, parts
from outboxctl.core.schema.namespaces import create_schema
from outboxctl.drills.bench import lanes, pipeline, process, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.settings import Settings

BYTES = 600  # text of a source row
PARTITIONS = 12
OLD = [f"{EVENTS}_{n}" for n in range(PARTITIONS - 1)]
OPTIONS = {
    "done": (2_000_000, "done rows in either outbox"),
    "events": (50_000, "that are delivered each time"),
    "repeat": (5, ""),
}
NOTES = f"""\
- Two outboxes on one server: a plain table, and one of {PARTITIONS} partitions of 30 days and a default
  one, as `docs/operators-desk/partitions.md` makes it. Both hold the same done rows of eleven months; what is
  delivered is of this month.
- Claim and settle: the product's lanes with a sink that accepts everything at once. End to end: a real
  `worker --drain` and a real Elasticsearch. Plain and partitioned by turns, the other way round each time;
  the ratio is that of each pair.
- Retention, once, of all rows but today's: `outboxctl prune` at full speed on the plain table, and the
  vacuum that it leaves to do; a detach, the check that all is done, and DROP on the other, a transaction for
  each partition. WAL by pg_wal_lsn_diff. Left: tables and indexes on disk, before that vacuum.
"""
# The last one begins today: the past is in all others, and today's events in none of them.
PARTITION = f"""
CREATE TABLE {EVENTS} (id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE {EVENTS}_rest PARTITION OF {EVENTS} DEFAULT;
DO $$
BEGIN
    FOR n IN 0..{PARTITIONS - 1} LOOP
        EXECUTE 'CREATE TABLE {EVENTS}_' || n || ' PARTITION OF {EVENTS} FOR VALUES FROM ('
            || quote_literal(current_date + 30 * (n - {PARTITIONS - 1})) || ') TO ('
            || quote_literal(current_date + 30 * (n - {PARTITIONS - 2})) || ')';
    END LOOP;
END
$$;
"""
# As `docs/operators-desk/partitions.md` has it.
DETACH = """
SET LOCAL lock_timeout = '2s';
ALTER TABLE {events} DETACH PARTITION {part};
DO $$
BEGIN
    IF EXISTS (SELECT FROM {part} WHERE status = 'pending')
        OR EXISTS (SELECT FROM {part} WHERE status = 'processing')
        OR EXISTS (SELECT FROM {part} WHERE status = 'failed') THEN
        RAISE EXCEPTION 'not everything in it is done: nothing was detached';
    END IF;
END
$$;
DROP TABLE {part};
"""
UNDER_WAY = f"SELECT count(*) FROM {EVENTS} WHERE status IN ('pending', 'processing')"
BYTES_ON_DISK = f"SELECT sum(pg_total_relation_size(part)) FROM ({parts(EVENTS)}) p"
WAL_BYTES = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"


def measure(plain: Rig, args: Namespace) -> Section:
    """Deliver to both layouts in turns, then remove the past from each."""
    with _partitioned(plain) as partitioned:
        rigs = {"plain": plain, "partitioned": partitioned}
        for rig in rigs.values():
            tables.reset(rig)
            rows.write_past(rig, Past(rows=args.done, oldest=330, newest=1))
        figures = [
            *_compared(rigs, args, "claim and settle", _claim_and_settle),
            *_compared(rigs, args, "end to end", _end_to_end),
            *_prune(plain, args.done),
            *_drop(partitioned),
        ]
    about = f"{args.done:,} done rows, {args.events:,} events each time, {args.repeat} repetitions."
    return Section("Partitions", about, figures, NOTES)


@contextmanager
def _partitioned(plain: Rig) -> Iterator[Rig]:
    """The same servers with an outbox in a schema of its own."""
    url = create_schema(plain.settings.require_database_url(), "partitioned")
    settings = Settings(**plain.settings.model_dump() | {"database_url": url})
    with closing(Database(url)) as database:
        with database.begin() as connection:
            connection.exec_driver_sql(PARTITION)
        upgrade(database, None)
        yield replace(plain, settings=settings, database=database)


def _compared(
    rigs: dict[str, Rig], args: Namespace, name: str, rate: Callable[[Rig, int, int], float]
) -> list[BenchFigure]:
    """Rates of both layouts, each run on other entities, and the ratio of each pair."""
    seeds = count(1 if name == "end to end" else 1_000_000)
    values = repeated(
        rigs, args.repeat, lambda each: rate(rigs[each], args.events, next(seeds)), "events/s", warm_up=True
    )
    return [
        *(BenchFigure(f"{name}, {each}", "events/s", some) for each, some in values.items()),
        BenchFigure(
            f"{name}, partitioned/plain", "", ratios(values["partitioned"], values["plain"]), digits=2
        ),
    ]


def _claim_and_settle(rig: Rig, events: int, seed: int) -> float:
    tables.write(rig.database, events, BYTES, 1_000, seed=seed)
    tables.flush(rig)
    begun = perf_counter()
    with lanes.running(rig, lanes.NullSink(), drain=True):
        pass
    seconds = perf_counter() - begun
    must(tables.number(rig, UNDER_WAY) == 0, "not every event is done")
    return events / seconds


def _end_to_end(rig: Rig, events: int, seed: int) -> float:
    tables.fresh_index(rig)
    tables.write(rig.database, events, BYTES, 1_000, seed=seed)
    tables.flush(rig)
    return pipeline.rate(rig, events, process.drain(rig))


def _prune(rig: Rig, done: int) -> list[BenchFigure]:
    before = tables.number(rig, WAL_BYTES)
    report = answer(rig, "prune", "--older-than", "1d", "--rate", "1000000")[1]
    must(report["pruned"] == done, f"{report['pruned']} rows were pruned")
    figures = _retention(rig, "prune", report["seconds"], before)
    begun = perf_counter()
    tables.vacuum(rig.database)
    return [*figures, BenchFigure("vacuum after the prune", "s", [perf_counter() - begun], digits=1)]


def _drop(rig: Rig) -> list[BenchFigure]:
    before, begun = tables.number(rig, WAL_BYTES), perf_counter()
    for part in OLD:
        tables.execute(rig, DETACH.format(events=EVENTS, part=part))
    return _retention(rig, "detach and drop", perf_counter() - begun, before)


def _retention(rig: Rig, name: str, seconds: float, wal_before: float) -> list[BenchFigure]:
    wal, size = (tables.number(rig, WAL_BYTES) - wal_before) / 1e6, tables.number(rig, BYTES_ON_DISK) / 1e6
    say(f"{name}: {seconds:.2f} s, {wal:,.1f} MB of WAL, {size:,.1f} MB left")
    return [
        BenchFigure(name, "s", [seconds], digits=2),
        BenchFigure(f"{name}, WAL", "MB", [wal], digits=1),
        BenchFigure(f"{name}, left on disk", "MB", [size], digits=1),
    ]


if __name__ == "__main__":
    main("partitions", __doc__, OPTIONS, measure)
