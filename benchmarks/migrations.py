"""`python -m benchmarks.migrations`: how long each migration holds a large outbox. About a minute."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from time import perf_counter

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from benchmarks.command import main
from benchmarks.report import Section
from benchmarks.servers import say
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import config
from outboxctl.core.schema.namespaces import create_database, drop_database
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig

OPTIONS = {"rows": (1_000_000, "events, and source rows"), "repeat": (3, "")}
NOTES = """\
- The tables of the lab document with rows in them, adopted: each migration in a transaction of its own, from
  its first statement to before its COMMIT, which is as long as its locks are held. `outboxctl db upgrade`
  runs all that are missing in one transaction.
- Nothing else uses the database: what a migration waits for is not in it.
"""
# What the lab document's application has.
TABLES = """
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
"""
EVENTS = text("""
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, attempts,
    replay_count, created_at, updated_at, processed_at)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'done', 1, 0, now(), now(), now()
FROM generate_series(1, :rows)
""")
SOURCE = text("""
INSERT INTO search_index (id, entity_type, entity_id, text, event_version, created_at, updated_at)
SELECT gen_random_uuid(), entity_type, entity_id, repeat('x', 100), 1, now(), now() FROM search_outbox_events
""")


def measure(rig: Rig, args: Namespace) -> Section:
    """All the way up, and down again, in each repetition."""
    revisions = [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()][::-1]
    up = {revision: ("upgrade", revision) for revision in revisions}
    down = {f"back to {revision}": ("downgrade", revision) for revision in revisions[-2::-1]}
    times: dict[str, list[float]] = {name: [] for name in up | down}
    with _filled(rig, args.rows) as database:
        for number in range(1, args.repeat + 1):
            say(f"repetition {number} of {args.repeat}")
            for name, (verb, revision) in (up | down).items():
                times[name].append(_migrate(database, verb, revision))
            _migrate(database, "downgrade", "base")
    figures = [BenchFigure(name, "ms", values) for name, values in times.items()]
    about = f"{args.rows:,} events and as many source rows, {args.repeat} repetitions."
    return Section("Migrations", about, figures, NOTES)


@contextmanager
def _filled(rig: Rig, rows: int) -> Iterator[Database]:
    server = rig.settings.require_database_url()
    own = create_database(server, "bench_migrations")
    try:
        with closing(Database(own)) as database:
            with database.begin() as connection:
                connection.exec_driver_sql(TABLES)
                connection.execute(EVENTS, {"rows": rows})
                connection.execute(SOURCE)
            tables.vacuum(database)
            say(f"{rows:,} rows")
            yield database
    finally:
        drop_database(server, own)


def _migrate(database: Database, verb: str, revision: str) -> float:
    """Milliseconds of one migration without its COMMIT."""
    with database.begin() as connection:
        begun = perf_counter()
        getattr(command, verb)(config(connection), revision)
        return 1_000 * (perf_counter() - begun)


if __name__ == "__main__":
    main("migrations", __doc__, OPTIONS, measure)
