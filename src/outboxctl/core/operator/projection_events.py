"""The waiting events of a projection that is dropped: discarded, and those counted that a worker holds."""

from json import dumps

from outboxctl.core.operator.moves import DISCARDED, move_statement
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.lifecycle import Status, Verb

BATCH = 5_000  # events in one transaction
IN_HAND = text(f"SELECT count(*) FROM {EVENTS} WHERE status = '{Status.PROCESSING}' AND entity_type = :name")
# Only events that no worker holds; one that is settled after all is not touched.
DISCARD = move_statement(
    Verb.DROP,
    DISCARDED,
    which=f"status = {{status}} AND entity_type = :name LIMIT {BATCH}",
    action="projection drop",
)


def in_hand(connection: Connection, name: str) -> int:
    """How many of its events workers hold."""
    return int(connection.execute(IN_HAND, {"name": name}).scalar_one())


def discard(connection: Connection, name: str, *, by: str, reason: str, act_id: str) -> int:
    """End waiting events of a projection as done without a delivery, audited; at most BATCH. How many."""
    values = {"name": name, "by": by, "reason": reason, "act_id": act_id}
    values["filters"] = dumps({"projection": name})
    return len(connection.execute(DISCARD, values).scalar() or ())
