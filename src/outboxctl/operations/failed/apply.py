"""Carrying out an action in batches, each a transaction with its audit row: what is committed stays."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from outboxctl.core.database import Database
from outboxctl.core.operator.moves import Act, undo
from outboxctl.core.operator.selection import MovePlan
from outboxctl.domain.errors import OutboxctlError
from outboxctl.operations import batches

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

Step = Callable[..., Act]  # one batch: called with a connection and the action's id


class Apply(Protocol):
    """`core.replay.apply` or `core.discard.apply`."""

    def __call__(
        self, connection: "Connection", plan: MovePlan, *, by: str, reason: str, act_id: str | None
    ) -> Act:
        """Move the planned events, in the caller's transaction."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What was done: the ids that were moved, and the action's id in the audit (None if none was).

    `interrupted`: stopped before the last step; `tried` steps were carried out.
    """

    ids: list[str]
    audit_id: str | None
    interrupted: bool = False
    tried: int = 0


def moves(apply: Apply, plan: MovePlan, *, by: str, reason: str, rate: float | None) -> list[Step]:
    """The batches of a plan, in its order."""
    size = batches.size(rate)
    starts = range(0, len(plan.ids), size)
    parts = (replace(plan, ids=plan.ids[start : start + size]) for start in starts)
    return [partial(apply, plan=part, by=by, reason=reason) for part in parts]


def undoing(act: str, rows: Iterable[str], *, by: str, reason: str) -> list[Step]:
    """The batches of an undo: those of the action, by the ids of its audit rows."""
    return [partial(undo, batch=row, undoes=act, by=by, reason=reason) for row in rows]


def carry_out(
    database: Database,
    steps: Iterable[Step],
    *,
    stop: Event,
    rate: float | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> Outcome:
    """Do the steps, a transaction each, until all are done or `stop` is set.

    `rate` is the most events a second; `advance` is called with the events of each batch. If a step fails or
    is interrupted, the error's hint names what the steps before it did: that stays.
    """
    act_id, moved, left = str(uuid4()), list[str](), deque(steps)
    count = len(left)

    def batch() -> int:
        """The next batch that moves anything: other sessions may have moved all events of one."""
        while left:
            step = left.popleft()
            with database.begin() as connection:
                ids = step(connection, act_id=act_id).ids
            moved.extend(ids)
            if ids or stop.is_set():
                return len(ids)
        return 0

    try:
        batches.run(batch, stop=stop, rate=rate, advance=advance, more=lambda: bool(left))
    except OutboxctlError as error:
        error.hint = "; ".join(filter(None, (_done(moved, act_id) if moved else "", error.hint)))
        raise
    except KeyboardInterrupt:
        # The last batch may have been committed: its ids are then in the audit, and not in `moved`.
        raise KeyboardInterrupt(f"interrupted in a batch: {_done(moved, act_id)}") from None
    return Outcome(moved, act_id if moved else None, bool(left), count - len(left))


def _done(moved: list[str], act_id: str) -> str:
    return f"{len(moved):,} events were done before that and stay so: `outboxctl audit --id {act_id}`"
