"""A steady stream of changes with one document each: how late the documents are, change by change."""

from argparse import Namespace
from collections.abc import Sequence
from time import time

from benchmarks import shop, tables
from benchmarks.command import OTHERS, collected
from benchmarks.figure import BenchFigure
from benchmarks.follow_rate import PATIENCE
from benchmarks.latency import percentile
from benchmarks.processes import serving
from benchmarks.report import STREAM, Section
from benchmarks.rig import Rig
from benchmarks.writer import WARM_UP, WRITERS, Committed, execute
from outboxctl.core.schema.names import EVENTS

RATE = 200  # transactions a second
SHARES = {"lag, p50": 0.5, "lag, p99": 0.99, "lag, max": 1.0}
LATE, MISSING = "the writer late, at the most", "documents never settled"
# The document's event that was settled last: what the change was expanded to.
SETTLED = f"""
SELECT CAST(entity_key AS int), max(extract(epoch FROM processed_at)::float8) FROM {EVENTS}
WHERE entity_type = 'product' AND follow IS NULL AND status = 'done' GROUP BY 1
"""
UNSETTLED = f"SELECT count(*) FROM {EVENTS} WHERE status IN ('pending', 'processing')"
NOTES = f"""\
- An open loop as in "Latency": {RATE} transactions a second by {WRITERS} sessions, each an UPDATE of one
  category by its key, every category once. A real worker, which has no notifications.
- Lag: from COMMIT's return until the engine has acknowledged the product's document (`processed_at` of its
  event), expansion included. What is not settled {PATIENCE:g} s after the writer's end counts as that
  late. The first {WARM_UP:g} s do not count.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """One stream a repetition."""
    count = int(RATE * (WARM_UP + args.seconds))
    shop.fill(rig, count, categories=count, parts=0)
    with shop.declared(rig):
        values = collected(rig, args.repeat, lambda _number: streamed(rig, count))
    figures = [_figure(name, each) for name, each in values.items()]
    about = f"{RATE} transactions a second for {args.seconds:g} s, {args.repeat} repetitions."
    return Section(STREAM, about, figures, NOTES)


def _figure(name: str, values: list[float]) -> BenchFigure:
    if name in (OTHERS, MISSING):
        return BenchFigure(name, "", values, digits=2 * (name == OTHERS))
    return BenchFigure(name, "s", values, digits=3)


def streamed(rig: Rig, count: int) -> dict[str, float]:
    """The lags of a stream of so many transactions, in seconds, by figure."""
    shop.fresh(rig)
    with serving(rig):
        committed = _written(rig, count)
        ended = time()
        shop.until(lambda: not tables.number(rig, UNSETTLED), ended, PATIENCE)
    with rig.database.begin() as connection:
        settled: dict[int, float] = dict(connection.execute(tables.sql(SETTLED)).all())
    counting = {n: each for n, each in enumerate(committed, 1) if n > RATE * WARM_UP}
    lags = sorted(settled.get(n, each.at + PATIENCE) - each.at for n, each in counting.items())
    missing = sum(n not in settled for n in counting)
    late = max(each.late for each in counting.values())
    return {name: percentile(lags, share) for name, share in SHARES.items()} | {LATE: late, MISSING: missing}


def _written(rig: Rig, count: int) -> Sequence[Committed]:
    """Carry out the transactions in a process of its own."""
    plan = [(n / RATE, shop.LENGTHEN.format(first=n + 1, last=n + 1)) for n in range(count)]
    found: Sequence[Committed] = shop.elsewhere(execute, rig.settings.require_database_url(), plan)
    return found
