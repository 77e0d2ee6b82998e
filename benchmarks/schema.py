"""What the schema costs: migrations of a large outbox, and a dozen partitions against a plain table."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from time import perf_counter

from alembic import command
from alembic.script import ScriptDirectory

from benchmarks import rows
from benchmarks.command import against, repeated, say
from benchmarks.processes import answer
from benchmarks.report import Section
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import config, upgrade
from outboxctl.core.schema.names import EVENTS, parts
from outboxctl.core.schema.namespaces import create_database, create_schema, drop_database
from outboxctl.drills.bench import process, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must

BYTES = 600  # text of a source row
PARTITIONS = 12
SEEDS = count(1)  # each run on other entities
MIGRATIONS_NOTES = """\
- The tables of the lab document with rows in them, adopted: each migration in a transaction of its own, from
  its first statement to before its COMMIT, which is as long as its locks are held. `outboxctl db upgrade`
  runs all that are missing in one transaction.
- Nothing else uses the database: what a migration waits for is not in it.
"""
PARTITIONS_NOTES = f"""\
- Two outboxes on one server: a plain table, and one of {PARTITIONS} partitions of 30 days and a default
  one, as `docs/operators-desk/partitions.md` makes it. Both hold the same done rows of eleven months; what is
  delivered is of this month.
- End to end: a real `worker --drain` and a real Elasticsearch. Plain and partitioned by turns, the other way
  round each time; the ratio is that of each pair.
- Retention, once, of all rows but today's: `outboxctl prune` at full speed on the plain table, and the
  vacuum that it leaves to do; a detach, the check that all is done, and DROP on the other, a transaction for
  each partition. WAL by pg_wal_lsn_diff. Left: tables and indexes on disk, before that vacuum.
"""
# What the lab document's application has.
LAB_TABLES = """
CREATE TABLE search_outbox_events (
    id uuid PRIMARY KEY, entity_type varchar(50) NOT NULL, entity_id uuid NOT NULL, op varchar(20) NOT NULL,
    event_version bigint NOT NULL, status varchar(20) NOT NULL, owner varchar(120), lease_until timestamptz,
    processing_started_at timestamptz, attempts int NOT NULL, next_retry_at timestamptz,
    processed_at timestamptz, error_reason varchar(80), error text, replay_count int NOT NULL,
    last_replayed_at timestamptz, last_replayed_by varchar(120), last_replayed_reason text,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL);
CREATE TABLE search_index (
    id uuid PRIMARY KEY, entity_type varchar(50) NOT NULL, entity_id uuid NOT NULL, library_id uuid,
    text text, snippet text, rank_score float, event_version bigint NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, UNIQUE (entity_type, entity_id));
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, attempts,
    replay_count, created_at, updated_at, processed_at)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'done', 1, 0, now(), now(), now()
FROM generate_series(1, {rows});
INSERT INTO search_index (id, entity_type, entity_id, text, event_version, created_at, updated_at)
SELECT gen_random_uuid(), entity_type, entity_id, repeat('x', 100), 1, now(), now() FROM search_outbox_events;
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
PAGE = Path(__file__).parents[1] / "docs" / "operators-desk" / "partitions.md"
BYTES_ON_DISK = f"SELECT sum(pg_total_relation_size(part)) FROM ({parts(EVENTS)}) p"
WAL_BYTES = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"


def migrations(rig: Rig, args: Namespace) -> Section:
    """All the way up in each repetition."""
    revisions = [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()][::-1]
    times: dict[str, list[float]] = {revision: [] for revision in revisions}
    with _lab_tables(rig, args.rows) as database:
        for number in range(1, args.repeat + 1):
            say(f"repetition {number} of {args.repeat}")
            for revision in revisions:
                with database.begin() as connection:  # its COMMIT is not timed
                    begun = perf_counter()
                    command.upgrade(config(connection), revision)
                    times[revision].append(1_000 * (perf_counter() - begun))
            with database.begin() as connection:
                command.downgrade(config(connection), "base")
    figures = [BenchFigure(name, "ms", values) for name, values in times.items()]
    about = f"{args.rows:,} events and as many source rows, {args.repeat} repetitions."
    return Section("Migrations", about, figures, MIGRATIONS_NOTES)


@contextmanager
def _lab_tables(rig: Rig, total: int) -> Iterator[Database]:
    server = rig.settings.require_database_url()
    own = create_database(server, "bench_migrations")
    try:
        with closing((lab := rows.rig_at(rig, own)).database) as database:
            rows.execute(lab, LAB_TABLES, rows=total)
            tables.vacuum(database)
            say(f"{total:,} rows")
            yield database
    finally:
        drop_database(server, own)


def partitions(plain: Rig, args: Namespace) -> Section:
    """Deliver to both layouts in turns, then remove the past from each."""
    other = rows.rig_at(plain, create_schema(plain.settings.require_database_url(), "partitioned"))
    with closing(other.database):
        _apart(other, PARTITION)
        upgrade(other.database, None)
        rigs = {"plain": plain, "partitioned": other}
        for rig in rigs.values():
            tables.reset(rig)
            rows.write_past(rig, rows.Past(rows=args.done, oldest=330, newest=1))

        def rate(layout: str) -> float:
            return _delivered(rigs[layout], args.events)

        rates = repeated(rigs, args.repeat, rate, "events/s", warm_up=True)
        figures = [
            *(BenchFigure(f"end to end, {name}", "events/s", values) for name, values in rates.items()),
            *against(rates, "plain", name="end to end, {}/{}", at_least=False),
            *_prune(plain, args.done),
            *_drop(other),
        ]
    about = f"{args.done:,} done rows, {args.events:,} events each time, {args.repeat} repetitions."
    return Section("Partitions", about, figures, PARTITIONS_NOTES)


def _apart(rig: Rig, statements: str) -> None:
    """Execute statements on tables that are not the product's own, with the search path of the URL."""
    with rig.database.apart() as session:
        session.execute(statements.encode())


def _delivered(rig: Rig, events: int) -> float:
    """Events a second, end to end, of new entities."""
    tables.fresh_index(rig)
    tables.write(rig.database, events, BYTES, 1_000, seed=next(SEEDS))
    tables.flush(rig)
    return process.drain_rate(rig, events, process.drain(rig))


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
    page = PAGE.read_text()
    detach = page[page.index(f"ALTER TABLE {EVENTS} DETACH") :].partition("COMMIT;")[0]
    for number in range(PARTITIONS - 1):
        part = f"{EVENTS}_{number}"
        statements = f"SET LOCAL lock_timeout = '2s'; {detach}DROP TABLE {part}"
        _apart(rig, statements.replace(f"{EVENTS}_2026_11", part))
    return _retention(rig, "detach and drop", perf_counter() - begun, before)


def _retention(rig: Rig, name: str, seconds: float, wal_before: float) -> list[BenchFigure]:
    wal, size = (tables.number(rig, WAL_BYTES) - wal_before) / 1e6, tables.number(rig, BYTES_ON_DISK) / 1e6
    say(f"{name}: {seconds:.2f} s, {wal:,.1f} MB of WAL, {size:,.1f} MB left")
    return [
        BenchFigure(name, "s", [seconds], digits=2),
        BenchFigure(f"{name}, WAL", "MB", [wal], digits=1),
        BenchFigure(f"{name}, left on disk", "MB", [size], digits=1),
    ]
