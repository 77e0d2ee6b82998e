"""The tables and the index of a rig: emptied, filled, vacuumed and counted between measurements."""

from benchmarks.rig import Rig
from outboxctl.core.database import Database
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.core.sql import TextClause, text
from outboxctl.drills.load import Generator, Load, Scenario
from outboxctl.drills.signals import undisturbed
from outboxctl.sink.index import index_setup
from outboxctl.sink.index.named import Json

DONE = f"SELECT count(*) FROM {EVENTS} WHERE status = 'done'"
LAST_SETTLE = f"SELECT coalesce(extract(epoch FROM max(processed_at)), 0) FROM {EVENTS}"


def sql(statement: str) -> TextClause:
    """A statement without parameters that names the product's tables; `%%` is a percent sign."""
    return text(statement.replace("%%", "%").replace(":", r"\:"))


def execute(rig: Rig, statement: str) -> None:
    """Execute one statement in a transaction of its own."""
    with rig.database.begin() as connection:
        connection.execute(sql(statement))


def number(rig: Rig, query: str) -> float:
    """Return the one number that a query returns."""
    with rig.database.begin() as connection:
        return float(connection.execute(sql(query)).scalar_one())


def vacuum(rig: Rig, *names: str) -> None:
    """Vacuum and analyse tables; the product's two by default."""
    with rig.database.apart() as session:
        session.execute(f"VACUUM (ANALYZE) {', '.join(names or (EVENTS, SOURCE))}".encode())


def flush(rig: Rig) -> None:
    """Vacuum and checkpoint, so that neither happens during the measurement that follows."""
    vacuum(rig)
    rig.checkpoint()


def reset(rig: Rig) -> None:
    """Empty both tables, vacuum them, so that statistics have no rows, and create the index anew."""
    execute(rig, f"TRUNCATE {EVENTS}, {SOURCE}")
    vacuum(rig)
    fresh_index(rig)


def fresh_index(rig: Rig, mappings: Json = index_setup.MAPPING) -> None:
    """Delete the index and create it as the product does."""
    name = rig.settings.elastic_index
    undisturbed(lambda: index_setup.remove(rig.client, name))
    undisturbed(lambda: index_setup.ensure(rig.client, name, mappings=mappings))


def write(database: Database, events: int, size: int, commit: int) -> None:
    """Write source rows of `size` bytes of text with their pending events, `commit` to a transaction.

    Raises KeyboardInterrupt where the generator was interrupted.
    """
    load = Load(Scenario.CREATE, events, size, 0, 1, per_transaction=commit, seed=1)
    if Generator(database, load, lambda _: None).run().operations < events:
        raise KeyboardInterrupt


def pending(rig: Rig, events: int, size: int) -> None:
    """Reset, write `events` pending events and checkpoint."""
    reset(rig)
    write(rig.database, events, size, 1_000)
    rig.checkpoint()


def entities(rig: Rig, count: int, size: int) -> None:
    """Source rows with `size` bytes of text, and no events."""
    reset(rig)
    write(rig.database, count, size, 1_000)
    execute(rig, f"TRUNCATE {EVENTS}")
    flush(rig)


def done(rig: Rig) -> int:
    """Count the events that are done."""
    return int(number(rig, DONE))


def last_settle(rig: Rig) -> float:
    """When the newest settle began, in seconds since the epoch; 0 if nothing is done."""
    return number(rig, LAST_SETTLE)
