"""From commit to acknowledged, by polling and by NOTIFY; about five minutes.

An open loop (see NOTES). Writer and PostgreSQL are on one machine, so on one clock.
"""

import json
import math
from argparse import Namespace
from collections.abc import Mapping, Sequence
from time import monotonic, sleep
from typing import NamedTuple

from benchmarks import sink, tables
from benchmarks.command import collected, figures, say
from benchmarks.processes import serving, wait_done, wait_until
from benchmarks.report import Section
from benchmarks.rig import Rig, must
from benchmarks.shop import elsewhere
from benchmarks.writer import TEXT, TRANSACTIONS, WARM_UP, WRITERS, Committed, planned, write
from outboxctl.core.schema import notify
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import text
from outboxctl.sink.delivery import bulk
from outboxctl.sink.delivery.bulk import BulkAction

SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
SETTLED = text(
    f"SELECT entity_id, extract(epoch FROM processed_at)::float8 FROM {EVENTS} WHERE status = 'done'"
)
LATE = "writer late"
BOUNDED = 50  # events a second of the cell that has bounds
ALONE, RATIO = f"{BOUNDED}/s, the sink alone, {{}}", f"{BOUNDED}/s, NOTIFY/the sink alone, {{}}"
NOTES = f"""\
- A real `outboxctl worker` with its defaults, a real Elasticsearch. The writer is a process of its own with
  {WRITERS} sessions; one event a transaction, and several above {TRANSACTIONS} transactions a second.
- An open loop: every transaction has its time from the beginning on. What cannot begin in time begins late,
  and none is left out, or the bad moments would not be measured. "Writer late": at the most.
- From: COMMIT has returned to the writer. Acknowledged: the sink has answered, and the settle's transaction
  begins (`processed_at`). A search finds the document after the index's next refresh, each second by default.
- A polling worker that is idle looks again after 20 ms, 40 ms, … up to OUTBOX_POLL_INTERVAL_SECONDS (1 s):
  a lone event after a silence waits about half as long as the silence. One that is notified also looks, after
  100 ms, 200 ms, …
- The sink alone: a request with one document of about the same size, as often as events at {BOUNDED}/s. The
  ratio to it is that of the same repetition: the times are those of this machine in this hour.
- The first {WARM_UP:g} s of each cell are thrown away, and one whole cell before the first.
"""


class Cell(NamedTuple):
    """One rate, in events a second, by `polling` or `NOTIFY`."""

    rate: int
    signal: str

    def __str__(self) -> str:
        return f"{self.rate:,}/s, {self.signal}"


def run(rig: Rig, args: Namespace) -> Section:
    """Every cell in each repetition."""
    rates = [int(rate) for rate in args.rates.split(",")]
    cells = [Cell(rate, signal) for rate in rates for signal in ("polling", "NOTIFY")]
    say("warm-up")
    _run(rig, Cell(TRANSACTIONS, "NOTIFY"), 10.0)

    def repetition(_number: int) -> dict[str, float]:
        runs = [_run(rig, cell, args.seconds) for cell in cells]
        late = max(run.pop(LATE) for run in runs)
        found = {name: value for run in runs for name, value in run.items()} | {LATE: late}
        return found | (_ratios(found, _alone(rig, args.seconds)) if BOUNDED in rates else {})

    shown = figures(collected(rig, args.repeat, repetition), lambda name: "" if "NOTIFY/" in name else "ms")
    events = ", ".join(f"{rate * args.seconds:,.0f} at {rate:,}/s" for rate in rates)
    about = f"Events that count, a repetition: {events}; {args.repeat} repetitions."
    return Section("Latency", about, shown, NOTES)


def _run(rig: Rig, cell: Cell, seconds: float) -> dict[str, float]:
    """Carry out a plan beside a worker that has started: milliseconds after COMMIT returned, by figure."""
    tables.reset(rig)
    with rig.database.begin() as connection:
        notify.switch(connection, on=cell.signal == "NOTIFY")
    plan = list(planned(cell.rate, seconds))
    with serving(rig):
        if cell.signal == "NOTIFY":
            wait_until(lambda: _listening(rig), "LISTEN by the worker", 0.05)
        written: list[Committed] = elsewhere(write, rig.settings.require_database_url(), plan)
        wait_done(rig, sum(len(each.ids) for each in plan))
    with rig.database.begin() as connection:
        settled: dict[object, float] = dict(connection.execute(SETTLED).all())
    counting = [(p.ids, c) for p, c in zip(plan, written, strict=True) if p.at >= WARM_UP]
    times = sorted(settled[id_] - committed.at for ids, committed in counting for id_ in ids)
    found = _shares(f"{cell}: acknowledged {{}}", times)
    say(", ".join(f"{name} {value:.1f} ms" for name, value in found.items()))
    return found | {LATE: 1_000 * max(committed.late for _, committed in counting)}


def _shares(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds by share, of sorted seconds; `name` with a place for the share."""
    return {name.format(share): 1_000 * percentile(seconds, part) for share, part in SHARES.items()}


def _alone(rig: Rig, seconds: float) -> dict[str, float]:
    """Milliseconds of requests of one document each, BOUNDED a second."""
    times, start = [], monotonic()
    for number in range(int(BOUNDED * seconds)):
        sleep(max(0.0, start + number / BOUNDED - monotonic()))
        body = bulk.body([BulkAction(str(number), 1, json.dumps({"text": TEXT}))])
        began = monotonic()
        must(not sink.send(rig, rig.client, body), "a document was refused")
        times.append(monotonic() - began)
    return _shares(ALONE, sorted(times))


def _ratios(found: Mapping[str, float], alone: Mapping[str, float]) -> dict[str, float]:
    """What the sink alone takes, and how many times as long an event takes."""
    whole = f"{Cell(BOUNDED, 'NOTIFY')}: acknowledged {{}}"
    times = {RATIO.format(name): found[whole.format(name)] / alone[ALONE.format(name)] for name in SHARES}
    return dict(alone) | times


def _listening(rig: Rig) -> bool:
    """Whether a worker hears of new events."""
    with rig.database.begin() as connection:
        return bool(notify.status(connection).listening)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the sorted `values` does not exceed (nearest rank)."""
    return values[max(0, math.ceil(share * len(values)) - 1)]
