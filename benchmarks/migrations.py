"""`python -m benchmarks.migrations`: how long each migration holds a large outbox. About a minute."""

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from time import perf_counter

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from benchmarks import report
from benchmarks.servers import ending, say, started
from outboxctl.core import benchmark_tables
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import config
from outboxctl.core.schema.namespaces import create_database, drop_database
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.rig import Rig

TITLE = "Migrations"
NOTES = """\
- The tables of the lab document with rows in them, adopted: each migration in a transaction of its own, from
  its first statement to before its COMMIT, which is as long as its locks are held. `outboxctl db upgrade`
  runs all that are missing in one transaction.
- Nobody else is at work: what a migration waits for is not in it.
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.migrations", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="events, and source rows")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with ending(), started() as rig:
        print(_benchmark(rig, given))


def _benchmark(rig: Rig, given: argparse.Namespace) -> str:
    revisions = [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()][::-1]
    seconds: dict[str, list[float]] = {}
    with _filled(rig, given.rows) as database:
        for number in range(1, given.repeat + 1):
            for revision in revisions:
                seconds.setdefault(revision, []).append(_migrate(database, "upgrade", revision))
            say(f"repetition {number} of {given.repeat}")
            for revision in revisions[-2::-1]:
                seconds.setdefault(f"back to {revision}", []).append(
                    _migrate(database, "downgrade", revision)
                )
            _migrate(database, "downgrade", "base")
    figures = [BenchFigure(name, "ms", [1e3 * each for each in values]) for name, values in seconds.items()]
    again = report.command("benchmarks.migrations", vars(given))
    about = f"{given.rows:,} events and as many source rows, {given.repeat} repetitions."
    on = surroundings(rig.versions)
    return report.write_section(TITLE, command=again, about=about, on=on, figures=figures, notes=NOTES)


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
            benchmark_tables.vacuum(own)
            say(f"{rows:,} rows")
            yield database
    finally:
        drop_database(server, own)


def _migrate(database: Database, verb: str, revision: str) -> float:
    with database.begin() as connection:
        begun = perf_counter()
        getattr(command, verb)(config(connection), revision)
        return perf_counter() - begun


if __name__ == "__main__":
    main()
