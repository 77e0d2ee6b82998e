"""Events of every kind over entities that are there, by one statement: no writer is part of the figure."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.drills.bench import fill
from outboxctl.drills.bench.rig import Rig

TRUNCATE = text(f"TRUNCATE {EVENTS}")
EMPTY = text(f"DELETE FROM {EVENTS}")
# `rounds` events an entity, each round over all of the first `entities`: a batch meets each at most once.
# The row's version goes with it: the event says no more than "look again".
BURST = text(f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, event_version)
SELECT entity_type, entity_id, :op, event_version + :later
FROM (SELECT * FROM {SOURCE} ORDER BY entity_id LIMIT :entities) s
CROSS JOIN generate_series(1, :rounds) r ORDER BY r, entity_id
""")
GONE = text(f"DELETE FROM {SOURCE}")
# A document that the index refuses: its field takes no such number.
SPOIL = text(f"""
UPDATE {SOURCE} SET rank_score = 'NaN' WHERE entity_id IN (
    SELECT entity_id FROM (SELECT entity_id, row_number() OVER (ORDER BY entity_id) n FROM {SOURCE}) s
    WHERE n % :every = 0)
""")


def entities(rig: Rig, count: int, size: int) -> None:
    """Rows of the source and no events."""
    fill.reset(rig)
    fill.write(rig.database, count, size, 1_000)
    truncate(rig)
    fill.vacuum(rig)


def truncate(rig: Rig) -> None:
    """No events, and nothing that is left of them."""
    _execute(rig, TRUNCATE)


def empty(rig: Rig) -> None:
    """Delete and vacuum all events: statistics say that there are none."""
    _execute(rig, EMPTY)
    fill.vacuum(rig)


def burst(rig: Rig, entities: int, *, rounds: int = 1, op: str = "upsert", later: int = 0) -> None:
    """Pending events: `rounds` for each of so many entities, `later` versions after their rows."""
    given = {"entities": entities, "rounds": rounds, "op": op, "later": later}
    _execute(rig, BURST, given)


def spoil(rig: Rig, every: int) -> None:
    """Every n-th entity's document is one that the index refuses."""
    _execute(rig, SPOIL, {"every": every})


def vanish(rig: Rig) -> None:
    """The source rows are gone, as before a deletion's event."""
    _execute(rig, GONE)


def _execute(rig: Rig, statement: Any, given: Mapping[str, Any] | None = None) -> None:
    with rig.database.begin() as connection:
        connection.execute(statement, given or {})
