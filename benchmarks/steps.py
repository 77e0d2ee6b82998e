"""What each step of a lone event costs, in the worker and bare; they share the servers and the minute."""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from benchmarks import bare, clocked
from benchmarks.clocked import ClockedBatch
from benchmarks.command import say
from benchmarks.processes import serving, wait_done, wait_until
from benchmarks.writer import WARM_UP, Committed, Planned, planned, write
from outboxctl.core.operator import inject
from outboxctl.core.schema import notify
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.rig import Rig

RATE = 50  # events a second
BARE = 300  # events
CLOCKED = [sys.executable, "-m", "benchmarks.clocked"]
ROOT = Path(__file__).parents[1]
TOTAL = "commit to settled"
RATIO = "a lone event / its bare round trips"
KINDS = ("commit", *bare.STEPS, "between", TOTAL)
DIGITS = (
    {f"lone event: {kind}": 2 for kind in KINDS} | {f"bare: {step}": 2 for step in bare.STEPS} | {RATIO: 2}
)
NOTES = f"""\
- A lone event: {RATE} a second by NOTIFY, one a transaction, a worker with clocks in it; medians. Commit: the
  writer's COMMIT, which is not in what follows. Notification: until the claim begins. Claim, bulk and settle:
  as the lane waits for them, with the pool, limits and all. Between: the rest until the settle is over.
- Bare: the same round trips, one after the other, right afterwards: one session, no pool, no client
  library; a row by its id in one message, a document in one request, a settle in two messages. The ratio is
  that of commit to settled to the sum of the bare medians. PostgreSQL and engine sync to the same disk.
"""


def run(rig: Rig, seconds: float) -> dict[str, float]:
    """Milliseconds by figure; the ratio."""
    events = _delivered(rig, seconds)
    columns = zip(KINDS, zip(*events, strict=True), strict=True)
    figures = {f"lone event: {kind}": 1_000 * median(each) for kind, each in columns}
    bound = {step: median(each) for step, each in bare.measure(rig, BARE).items()}
    figures |= {f"bare: {step}": 1_000 * each for step, each in bound.items()}
    figures[RATIO] = figures[f"lone event: {TOTAL}"] / (1_000 * sum(bound.values()))
    say(", ".join(f"{name} {value:.2f}" for name, value in figures.items()))
    return figures


def _delivered(rig: Rig, seconds: float) -> list[tuple[float, ...]]:
    """Seconds of each of KINDS, a row an event."""
    tables.reset(rig)
    with rig.database.begin() as connection:
        notify.switch(connection, on=True)
    plan, file = list(planned(RATE, seconds)), rig.folder / "clocked.jsonl"
    with serving(rig, command=CLOCKED, **{clocked.FILE: str(file), "PYTHONPATH": _path()}):
        wait_until(lambda: listening(rig), "LISTEN by the worker", 0.05)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            written = pool.submit(write, rig.settings.require_database_url(), plan).result()
        wait_done(rig, len(plan))
    return [*_rows(plan, written, clocked.read(file))]


def listening(rig: Rig) -> bool:
    """Whether a worker hears of new events."""
    with rig.database.begin() as connection:
        return bool(notify.status(connection).listening)


def _rows(
    plan: Sequence[Planned], written: Sequence[Committed], batches: Sequence[ClockedBatch]
) -> Iterator[tuple[float, ...]]:
    by_id = {id_: batch for batch in batches for id_ in batch.ids}
    for each, committed in zip(plan, written, strict=True):
        if each.at >= WARM_UP:
            batch = by_id[f"{inject.ENTITY_TYPE}:{each.ids[0]}"]
            yield committed.commit, *_steps(committed.at, batch)


def _steps(at: float, batch: ClockedBatch) -> list[float]:
    spans = [(at, batch.claim[0]), batch.claim, batch.bulk, batch.settle]
    between = sum(after[0] - before[1] for before, after in pairwise(spans))
    return [*(end - begin for begin, end in spans), between, batch.settle[1] - at]


def _path() -> str:
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
