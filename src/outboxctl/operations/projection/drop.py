"""Taking a projection out of force; its index stays."""

from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING

from outboxctl.core.operator import audit, projection_events
from outboxctl.core.projections import changes, in_force, own_view, triggers
from outboxctl.core.projections.names import is_own_view
from outboxctl.core.schema.lock_wait import with_lock_retries
from outboxctl.domain.clock import monotonic
from outboxctl.operations.projection.known import named

if TYPE_CHECKING:
    from collections.abc import Callable

    from outboxctl.core.database import Connection, Database

PAUSE = 0.2  # seconds between two looks at the events that a worker has in hand


@dataclass(frozen=True)
class Dropped:
    """What was dropped; `discarded` events had been waiting."""

    name: str
    index: str
    discarded: int
    audit_id: str


def drop(
    database: "Database",
    name: str,
    *,
    by: str,
    reason: str,
    patience: float = 60.0,
    report: "Callable[[str], None]" = lambda _: None,
) -> Dropped:
    """Remove triggers, the view that we made and the declaration; waiting events are discarded. Audited.

    Raises UsageError where it is not in force, LockedError where a table stays locked, with nothing changed.
    Events are discarded in batches afterwards: a table is locked no longer than its triggers need. Those that
    a worker has in hand are waited for, for at most `patience` seconds.
    """

    def remove(connection: "Connection") -> tuple[str, str]:
        projection = named(connection, name)
        schema = changes.outbox_schema(connection)
        own = is_own_view(name, projection.document, schema)
        changes.run(connection, [triggers.drop_sql(name, schema)])
        changes.run(connection, [own_view.drop_sql(schema, name)] if own else [])
        in_force.remove(connection, name)
        filters = {"projection": name, "index": projection.index}
        act = audit.record(connection, "projection drop", by=by, reason=reason, filters=filters, ids=[])
        return projection.index, act

    index, act = with_lock_retries(database, remove, patience=patience, report=report)
    end, total = monotonic() + patience, 0
    while True:
        with database.begin() as connection:
            count = projection_events.discard(connection, name, by=by, reason=reason, act_id=act)
            in_hand = projection_events.counts(connection, [name])[name].processing
        total += count
        if not count:
            if not in_hand or monotonic() > end:
                return Dropped(name, index, total, act)
            sleep(PAUSE)
