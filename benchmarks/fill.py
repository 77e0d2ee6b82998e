"""Tables and index in a known state before each measurement."""

import psycopg
from sqlalchemy import text

from benchmarks.servers import Rig
from outboxctl.core.database import Database
from outboxctl.core.schema import EVENTS, SOURCE
from outboxctl.load.generate import Generator
from outboxctl.load.plan import Load, Scenario
from outboxctl.sink.index import ensure
from outboxctl.urls import check_database_url


def reset(rig: Rig) -> None:
    """Empty tables whose statistics say so, and a fresh index."""
    with rig.database.begin() as connection:
        connection.execute(text(f"TRUNCATE {EVENTS}, {SOURCE}"))
    vacuum(rig)
    fresh_index(rig)


def vacuum(rig: Rig) -> None:
    _alone(rig.settings.require_database_url(), f"VACUUM (ANALYZE) {EVENTS}, {SOURCE}")


def fresh_index(rig: Rig) -> None:
    """Delete the index and create it as the product does."""
    name = rig.settings.elastic_index
    rig.client.options(ignore_status=404).indices.delete(index=f"{name}-000001")
    ensure(rig.client, name)


def write(database: Database, events: int, size: int, commit: int, *, seed: int = 1) -> None:
    """Source rows with their pending events, `commit` to a transaction; other entities by another seed."""
    load = Load(Scenario.CREATE, events, size, 0, 1, per_transaction=commit, seed=seed)
    Generator(database, load, lambda _: None).run()


def pending(rig: Rig, events: int, size: int) -> None:
    """From nothing to `events` pending events, with nothing left to be flushed in the middle."""
    reset(rig)
    write(rig.database, events, size, 1_000)
    checkpoint(rig)


def checkpoint(rig: Rig) -> None:
    """Write out everything, as the superuser, so that the server does not do it while we measure."""
    _alone(check_database_url(rig.both.postgres.admin_url), "CHECKPOINT")


def _alone(url: str, statement: str) -> None:
    """Run a statement that refuses to run in a transaction."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def done(rig: Rig) -> int:
    """How many events are done."""
    with rig.database.begin() as connection:
        return int(
            connection.execute(text(f"SELECT count(*) FROM {EVENTS} WHERE status = 'done'")).scalar_one()
        )
