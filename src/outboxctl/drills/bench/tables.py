"""The tables and the index of a rig: emptied, filled, vacuumed and counted between measurements."""

from contextlib import closing

from outboxctl.core.database import Database
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.drills.bench.rig import Rig
from outboxctl.drills.load import Generator, Load, Scenario
from outboxctl.drills.signals import undisturbed
from outboxctl.sink.index import index_setup

TRUNCATE = f"TRUNCATE {EVENTS}, {SOURCE}"
VACUUM = f"VACUUM (ANALYZE) {EVENTS}, {SOURCE}"
DONE = f"SELECT count(*) FROM {EVENTS} WHERE status = 'done'"  # noqa: S608 - our own name
LAST_SETTLE = f"SELECT coalesce(extract(epoch FROM max(processed_at)), 0) FROM {EVENTS}"  # noqa: S608


def reset(rig: Rig) -> None:
    """Empty both tables, vacuum them, so that statistics have no rows, and create the index anew."""
    execute(rig, TRUNCATE)
    vacuum(rig.database)
    fresh_index(rig)


def execute(rig: Rig, statement: str) -> None:
    """Execute one statement in a transaction of its own."""
    with rig.database.begin() as connection:
        connection.exec_driver_sql(statement)


def number(rig: Rig, query: str) -> float:
    """Return the one number that a query returns."""
    with rig.database.begin() as connection:
        return float(connection.exec_driver_sql(query).scalar_one())


def vacuum(database: Database) -> None:
    """Vacuum and analyse both tables."""
    with database.apart() as session:
        session.execute(VACUUM.encode())


def checkpoint(admin_url: str) -> None:
    """Make the server write all changed pages to disk; the role must be a superuser."""
    with closing(Database(admin_url, connections=1)) as database, database.apart() as session:
        session.execute("CHECKPOINT")


def flush(rig: Rig) -> None:
    """Vacuum and checkpoint, so that neither happens during the measurement that follows."""
    vacuum(rig.database)
    rig.checkpoint()


def fresh_index(rig: Rig) -> None:
    """Delete the index and create it as the product does."""
    name = rig.settings.elastic_index
    undisturbed(lambda: index_setup.remove(rig.client, name))
    undisturbed(lambda: index_setup.ensure(rig.client, name))


def write(database: Database, events: int, size: int, commit: int, *, seed: int = 1) -> None:
    """Write source rows of `size` bytes of text with their pending events, `commit` to a transaction.

    Another seed writes other entities. Raises KeyboardInterrupt where the generator was interrupted.
    """
    load = Load(Scenario.CREATE, events, size, 0, 1, per_transaction=commit, seed=seed)
    if Generator(database, load, lambda _: None).run().operations < events:
        raise KeyboardInterrupt


def pending(rig: Rig, events: int, size: int) -> None:
    """Reset, write `events` pending events and checkpoint."""
    reset(rig)
    write(rig.database, events, size, 1_000)
    rig.checkpoint()


def done(rig: Rig) -> int:
    """Count the events that are done."""
    return int(number(rig, DONE))


def last_settle(rig: Rig) -> float:
    """When the newest settle began, in seconds since the epoch; 0 if nothing is done."""
    return number(rig, LAST_SETTLE)
