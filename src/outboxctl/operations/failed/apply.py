"""Carrying out an act in batches, each a transaction with its audit row: what is committed stays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from uuid import uuid4

from outboxctl.core.database import Database
from outboxctl.core.operator.selection import MovePlan
from outboxctl.domain.errors import OutboxctlError
from outboxctl.operations import batches

Step = Callable[..., list[str]]  # one batch: called with a connection and the act's id; the ids moved


@dataclass(frozen=True)
class Outcome:
    """What was done: the ids that were moved, and the act's id in the audit (None if none was).

    `interrupted`: stopped before the last step; `tried` steps were carried out.
    """

    ids: list[str]
    audit_id: str | None
    interrupted: bool = False
    tried: int = 0


def moves(
    apply: Callable[..., list[str]], plan: MovePlan, *, by: str, reason: str, rate: float | None
) -> list[Step]:
    """The batches of a plan, in its order; `apply` is `core.operator.moves.replay` or `discard`."""
    size = batches.size(rate)
    parts = (replace(plan, ids=plan.ids[start : start + size]) for start in range(0, len(plan.ids), size))
    return [partial(apply, plan=part, by=by, reason=reason) for part in parts]


def carry_out(
    database: Database,
    steps: Sequence[Step],
    *,
    stop: Event,
    rate: float | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> Outcome:
    """Do the steps, a transaction each, until all are done or `stop` is set.

    `rate` is the most events a second; `advance` is called with the events of each batch. If a step fails or
    is interrupted, the error's hint names what the steps before it did: that stays.
    """
    act_id, moved, tried = str(uuid4()), list[str](), 0

    def batch(step: Step) -> int:
        with database.begin() as connection:
            ids = step(connection, act_id=act_id)
        moved.extend(ids)
        return len(ids)

    try:
        for events in batches.run([partial(batch, step) for step in steps], stop=stop, rate=rate):
            tried += 1
            advance(events)
    except OutboxctlError as error:
        error.hint = "; ".join(filter(None, (_done(moved, act_id) if moved else "", error.hint)))
        raise
    except KeyboardInterrupt:
        # The last batch may have been committed: its ids are then in the audit, and not in `moved`.
        raise KeyboardInterrupt(f"interrupted in a batch: {_done(moved, act_id)}") from None
    return Outcome(moved, act_id if moved else None, tried < len(steps), tried)


def _done(moved: list[str], act_id: str) -> str:
    return f"{len(moved):,} events were done before that and stay so: `outboxctl audit --id {act_id}`"
