"""Deliveries to an index whose alias a rebuild moves: it takes no writes for that moment, on purpose.

Their events wait for the move, with their attempts and under either outage policy, and hold up no other's.
"""

from dataclasses import replace

from outboxctl.core.database import Database
from outboxctl.core.operator.rebuilds import MoveState, move_state
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.sink.delivery.result import Delivery

TEXTS = {
    MoveState.RUNS: "a rebuild moves the alias {alias}, and its index takes no writes until then",
    MoveState.INTERRUPTED: "a rebuild of {alias} was interrupted while its index takes no writes: "
    "`outboxctl rebuild` goes on, `outboxctl index abort` ends it",
}


def waiting_for_move(database: Database, alias: str, delivery: Delivery) -> Delivery:
    """The delivery, with what a rebuild's block of the index refused as what waits for the move.

    Where the rebuilds cannot be read, nothing changes: then it is an outage like any other.
    """
    blocked = any(finding and finding.reason is Reason.WRITE_BLOCKED for finding in delivery.findings)
    try:
        state = _state(database, alias) if blocked else None
    except OutboxctlError:
        state = None
    if state is None:
        return delivery
    return replace(delivery, findings=[_waiting(each, alias, state) for each in delivery.findings])


def _state(database: Database, alias: str) -> MoveState | None:
    with database.begin() as connection:
        return move_state(connection, alias)


def _waiting(finding: Classification | None, alias: str, state: MoveState) -> Classification | None:
    if finding is None or finding.reason is not Reason.WRITE_BLOCKED:
        return finding
    return Classification(
        Verdict.OUTAGE,
        Reason.WRITE_BLOCKED,
        error=brief(f"{Reason.WRITE_BLOCKED}: {TEXTS[state].format(alias=alias)}"),
        own_text=True,
        single=True,
        attempt_returned=True,
        passing=state is MoveState.RUNS,
    )
