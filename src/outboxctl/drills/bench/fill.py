"""Tables and index in a known state before each measurement."""

from outboxctl.core import benchmark_tables
from outboxctl.core.database import Database
from outboxctl.drills.bench.rig import Rig
from outboxctl.drills.faults.guest import undisturbed
from outboxctl.drills.load.generate import Generator
from outboxctl.drills.load.plan import Load, Scenario
from outboxctl.sink.index import index_setup


def reset(rig: Rig) -> None:
    """Empty tables whose statistics say so, and a fresh index."""
    with rig.database.begin() as connection:
        benchmark_tables.empty(connection)
    vacuum(rig)
    fresh_index(rig)


def vacuum(rig: Rig) -> None:
    """Vacuum and analyse both tables."""
    benchmark_tables.vacuum(rig.settings.require_database_url())


def fresh_index(rig: Rig) -> None:
    """Delete the index and create it as the product does."""
    undisturbed(lambda: _fresh_index(rig))


def _fresh_index(rig: Rig) -> None:
    name = rig.settings.elastic_index
    index_setup.remove(rig.client, name)
    index_setup.ensure(rig.client, name)


def write(database: Database, events: int, size: int, commit: int, *, seed: int = 1) -> None:
    """Source rows with their pending events, `commit` to a transaction; other entities by another seed.

    Raises KeyboardInterrupt where it was interrupted: the generator itself just ends early.
    """
    load = Load(Scenario.CREATE, events, size, 0, 1, per_transaction=commit, seed=seed)
    if Generator(database, load, lambda _: None).run().operations < events:
        raise KeyboardInterrupt


def pending(rig: Rig, events: int, size: int) -> None:
    """From nothing to `events` pending events, with nothing left to be flushed in the middle."""
    reset(rig)
    write(rig.database, events, size, 1_000)
    rig.checkpoint()


def done(rig: Rig) -> int:
    """How many events are done."""
    with rig.database.begin() as connection:
        return benchmark_tables.done(connection)
