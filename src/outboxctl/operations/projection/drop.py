"""Taking a projection out of force; its index stays."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import sleep

from outboxctl.core.database import Database
from outboxctl.core.delivery import deletes, places
from outboxctl.core.operator import audit, moves
from outboxctl.core.projections import catalog, changes, in_force
from outboxctl.core.projections.catalog import is_own_view
from outboxctl.core.projections.trigger_names import shared, tables_of
from outboxctl.core.projections.triggers import Triggers
from outboxctl.core.schema.lock_wait import with_lock_retries
from outboxctl.core.sql import Connection
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import UsageError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection.known import named

PAUSE = 0.2  # seconds between two looks at the events that a worker has in hand
WAITING = "{name} is out of force; workers still hold {events:,} of its events: waiting at most {seconds:g} s"


@dataclass(frozen=True)
class Dropped:
    """What was dropped; `discarded` events had been waiting.

    `in_hand`: events that a worker held for longer than they were waited for.
    """

    name: str
    index: str
    discarded: int
    in_hand: int
    audit_id: str
    id_prefix: str = ""


def drop(
    database: Database,
    name: str,
    *,
    by: str,
    reason: str,
    patience: float = 60.0,
    report: Callable[[str], None] = lambda _: None,
) -> Dropped:
    """Remove triggers, the view that we made and the declaration; waiting events are discarded. Audited.

    Raises UsageError where it is not in force, built in or a part, LockedError where a table stays locked,
    with nothing changed.
    Events are discarded in batches afterwards: a table is locked no longer than its triggers need. Those that
    a worker has in hand are waited for, for at most `patience` seconds.
    """
    if name == PROJECTION:
        raise UsageError(f"{name} is built in: it cannot be dropped")

    def remove(connection: Connection) -> tuple[Projection, str]:
        projection = named(connection, name)
        if projection.value:
            hint = f"drop {projection.name}, all of it; or delete the index {projection.index}"
            raise UsageError(f"{name} is a part of a projection: it cannot be dropped alone", hint=hint)
        schema = changes.outbox_schema(connection)
        own = is_own_view(name, projection.document, schema)
        changes.run(connection, [_without(connection, projection, schema)])
        changes.run(connection, [changes.drop_sql(schema, name)] if own else [])
        in_force.remove(connection, name)
        filters = {"projection": name, "index": projection.index}
        act = audit.record(connection, "projection drop", by=by, reason=reason, filters=filters, ids=[])
        return projection, act

    projection, act = with_lock_retries(database, remove, patience=patience, report=report)

    def discard() -> tuple[int, int]:
        with database.begin() as connection:
            count = moves.discard_all(connection, name, by=by, reason=reason, act_id=act)
            places.drop(connection, name)
            deletes.drop(connection, name)
            return count, moves.in_hand(connection, name)

    discarded, in_hand = _until_none_waits(discard, name, patience, report)
    return Dropped(name, projection.index, discarded, in_hand, act, projection.id_prefix)


def _without(connection: Connection, projection: Projection, schema: str) -> str:
    """SQL that leaves on its tables the triggers of the other projections."""
    untriggered, former = replace(projection, triggers=False), tables_of(projection)
    tables = shared(connection, untriggered, in_force.read(connection), former)
    rows = catalog.row_level(connection, [each.table for each in tables])
    return Triggers(tables, schema, rows).sql(projection.name)


def _until_none_waits(
    discard: Callable[[], tuple[int, int]], name: str, patience: float, report: Callable[[str], None]
) -> tuple[int, int]:
    """Discard what waits, and what comes back from workers: how many, and how many they still hold."""
    end, total, said = monotonic() + patience, 0, False
    while True:
        count, in_hand = discard()
        total += count
        if not count and (not in_hand or monotonic() > end):
            return total, in_hand
        if not count:
            if not said:
                report(WAITING.format(name=name, events=in_hand, seconds=patience))
            said = True
            sleep(PAUSE)
