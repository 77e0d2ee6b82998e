"""Work in batches, a transaction each: paced, and stopped between two; what is committed stays."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from types import FrameType
from typing import Any
from uuid import uuid4

from outboxctl.core.database import Database
from outboxctl.core.operator.selection import MovePlan
from outboxctl.domain.errors import OutboxctlError

Step = Callable[..., list[str]]  # one batch: called with a connection and the act's id; the ids moved
BATCH = 1_000  # rows a transaction: a worker that meets one of them waits for some 20 ms


def size(rate: float | None) -> int:
    """Rows a batch: at most those of one second at `rate` rows a second (None: no limit)."""
    return BATCH if rate is None else max(1, min(BATCH, int(rate)))


def run(
    steps: Iterable[Callable[[], int]],
    *,
    stop: threading.Event,
    rate: float | None = None,
    clock: Callable[[], float] = monotonic,
) -> Iterator[int]:
    """Do steps of a batch each, at most `rate` rows a second, until `stop`; yields the rows of each."""
    began, total = clock(), 0
    for step in steps:
        if rate and total:
            stop.wait(max(0.0, began + total / rate - clock()))
        if stop.is_set():
            return
        rows = step()
        total += rows
        yield rows


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Within the block, the first SIGINT or SIGTERM sets the event; a second one ends the process."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def first(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[number] or signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, first)
    try:
        yield stop
    finally:
        for restored, handler in before.items():
            signal.signal(restored, handler or signal.SIG_DFL)


@dataclass(frozen=True)
class Outcome:
    """The ids that were moved and the act's id in the audit; `interrupted` after `tried` steps."""

    ids: list[str]
    audit_id: str | None
    interrupted: bool = False
    tried: int = 0


def moves(
    apply: Callable[..., list[str]], plan: MovePlan, *, by: str, reason: str, rate: float | None
) -> list[Step]:
    """The batches of a plan, in its order; `apply` is `core.operator.moves.replay` or `discard`."""
    most = size(rate)
    parts = (replace(plan, ids=plan.ids[start : start + most]) for start in range(0, len(plan.ids), most))
    return [partial(apply, plan=part, by=by, reason=reason) for part in parts]


def carry_out(
    database: Database,
    steps: Sequence[Step],
    *,
    stop: threading.Event,
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
        for events in run([partial(batch, step) for step in steps], stop=stop, rate=rate):
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
