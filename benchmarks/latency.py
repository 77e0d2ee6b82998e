"""From commit to acknowledged and to searchable; about five minutes.

An open loop (see NOTES). Writer, PostgreSQL and prober are on one machine, so on one clock.
"""

import math
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from time import sleep, time
from typing import NamedTuple
from uuid import UUID

from benchmarks import tables
from benchmarks.command import OTHERS, collected, say
from benchmarks.figure import BenchFigure
from benchmarks.processes import SOON, serving, wait_done, wait_until
from benchmarks.report import Section
from benchmarks.rig import Rig, must
from benchmarks.writer import TRANSACTIONS, WARM_UP, WRITERS, Committed, Planned, planned, write
from outboxctl.core.operator import inject
from outboxctl.core.schema import notify
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import text
from outboxctl.sink.index import index_setup
from outboxctl.sink.transport.request import demand

SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
PROBES = 20.0  # events a second that are searched for
EACH = 0.01  # seconds between two searches
AT_ONCE = 100  # documents in one search
SETTLED = text(
    f"SELECT entity_id, extract(epoch FROM processed_at)::float8 FROM {EVENTS} WHERE status = 'done'"
)
LATE = "writer late"
DIGITS = {LATE: 0, OTHERS: 2}
NOTES = f"""\
- A real `outboxctl worker` with its defaults, a real Elasticsearch. The writer is a process of its own with
  {WRITERS} sessions; one event a transaction, and several above {TRANSACTIONS} transactions a second.
- An open loop: every transaction has its time from the beginning on. What cannot begin in time begins late,
  and none is left out, or the bad moments would not be measured. "Writer late": at the most.
- From: COMMIT has returned to the writer. Acknowledged: the sink has answered, and the settle's transaction
  begins (`processed_at`). Searchable: a search finds the document; some {PROBES:g} events a second are
  searched for, every {1_000 * EACH:g} ms and as long as a search takes.
- Searches see what was there at the last refresh: each second by the engine's default, so half a second on
  average, whatever the worker does. "Refresh 100 ms" is an index with that `refresh_interval`.
- A polling worker that is idle looks again after 10 ms, 20 ms, … up to OUTBOX_POLL_INTERVAL_SECONDS (1 s):
  a lone event after a silence waits about half as long as the silence. One that is notified also looks, after
  100 ms, 200 ms, …
- The first {WARM_UP:g} s of each cell are thrown away, and one whole cell before the first.
"""


class Cell(NamedTuple):
    """One rate, in events a second, by `polling` or `NOTIFY`; `refresh` where it is not the engine's own."""

    rate: int
    signal: str
    refresh: str = ""

    def __str__(self) -> str:
        return f"{self.rate:,}/s, {self.signal}" + (f", refresh {self.refresh}" if self.refresh else "")


def run(rig: Rig, args: Namespace) -> Section:
    rates = [int(rate) for rate in args.rates.split(",")]
    cells = [Cell(rate, signal) for rate in rates for signal in ("polling", "NOTIFY")]
    cells.append(Cell(min(rates, key=lambda rate: abs(rate - 50)), "NOTIFY", "100 ms"))
    say("warm-up")
    _run(rig, Cell(TRANSACTIONS, "NOTIFY"), 10.0)

    def repetition(_number: int) -> dict[str, float]:
        runs = [_run(rig, cell, args.seconds) for cell in cells]
        late = max(run.pop(LATE) for run in runs)
        return {name: value for run in runs for name, value in run.items()} | {LATE: late}

    figures = [
        BenchFigure(name, "" if name == OTHERS else "ms", values, digits=DIGITS.get(name, 1))
        for name, values in collected(rig, args.repeat, repetition).items()
    ]
    events = ", ".join(f"{rate * args.seconds:,.0f} at {rate:,}/s" for rate in rates)
    about = f"Events that count, a repetition: {events}; {args.repeat} repetitions."
    return Section("Latency", about, figures, NOTES)


def _run(rig: Rig, cell: Cell, seconds: float) -> dict[str, float]:
    """Carry out a plan beside a worker that has started: milliseconds after COMMIT returned, by figure."""
    tables.reset(rig)
    if cell.refresh:
        refresh = {"index.refresh_interval": cell.refresh.replace(" ", "")}
        demand(rig.client, "PUT", rig.settings.elastic_index, "_settings", body=refresh)
    with rig.database.begin() as connection:
        notify.switch(connection, on=cell.signal == "NOTIFY")
    with serving(rig):
        if cell.signal == "NOTIFY":
            wait_until(lambda: _listening(rig), "LISTEN by the worker", 0.05)
        acknowledged, searchable, late = _written(rig, list(planned(cell.rate, seconds)), seconds)
    kinds = {} if cell.refresh else {"acknowledged": sorted(acknowledged)}
    run = {
        f"{cell}: {kind} {name}": 1_000 * percentile(values, share)
        for kind, values in {**kinds, "searchable": sorted(searchable)}.items()
        for name, share in SHARES.items()
    }
    say(", ".join(f"{name} {value:.1f} ms" for name, value in run.items()))
    return run | {LATE: 1_000 * late}


def _listening(rig: Rig) -> bool:
    """Whether a worker hears of new events."""
    with rig.database.begin() as connection:
        return bool(notify.status(connection).listening)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the sorted `values` does not exceed (nearest rank)."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def _written(rig: Rig, plan: Sequence[Planned], seconds: float) -> tuple[list[float], list[float], float]:
    """Seconds until each event was acknowledged and until each of a sample was searchable; the most late.

    An event is acknowledged when the sink has answered: its settle's transaction begins right then. It is
    searchable when a search returns it; one of a few hundredths of a second at a time looks.
    """
    sample = {int(each.at * PROBES): each.ids[0] for each in plan}  # of some twenty transactions a second
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        writing = pool.submit(write, rig.settings.require_database_url(), plan)
        searchable = _probe(rig, [*sample.values()], writing, seconds)
        written = writing.result()
    wait_done(rig, sum(len(each.ids) for each in plan))
    with rig.database.begin() as connection:
        settled: dict[UUID, float] = dict(connection.execute(SETTLED).all())
    counting = [(p.ids, c) for p, c in zip(plan, written, strict=True) if p.at >= WARM_UP]
    return (
        [settled[id_] - committed.at for ids, committed in counting for id_ in ids],
        [searchable[ids[0]] - committed.at for ids, committed in counting if ids[0] in searchable],
        max(committed.late for _, committed in counting),
    )


def _probe(
    rig: Rig, sample: Sequence[UUID], writing: Future[list[Committed]], seconds: float
) -> dict[UUID, float]:
    """When a search first returned each; searches for the oldest that are missing, again and again."""
    first: dict[UUID, float] = {}
    names = {f"{inject.ENTITY_TYPE}:{id_}": id_ for id_ in sample}
    end = time() + WARM_UP + seconds + SOON
    while names and not (writing.done() and writing.exception()):
        must(time() < end, f"{len(names)} documents are not searchable")
        hits = index_setup.searchable(rig.client, rig.settings.elastic_index, list(names)[:AT_ONCE])
        first |= {names.pop(name): time() for name in hits}
        sleep(EACH)
    return first
