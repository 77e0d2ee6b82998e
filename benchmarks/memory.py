"""A worker's memory beside a backlog that never ends; some 25 minutes."""

import threading
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import linear_regression
from time import monotonic, sleep

import psutil

from benchmarks import rows
from benchmarks.command import say
from benchmarks.processes import serving
from benchmarks.report import Section
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must

SIZES = {"small": 200, "large": 20_000}  # bytes of text
IDLE = 0.5  # minutes with nothing to do
MINUTE = 60
ENTITIES = 20_000  # a batch has a thousand different ones, and the table of rows stays small
INTERVAL = 5.0  # seconds between two counts of what is done
NOTES = """\
- A real `outboxctl worker` with its default settings; its resident memory (RSS) each second, in MB of 10^6.
- Small and large: 200 and 20,000 bytes of text a source row; its other columns add some 370 bytes of JSON.
  The text repeats itself, which spares the servers' disks; a worker holds it as it would any other.
- The backlog: whenever half of the events are done they are made pending again, by SQL.
- Growth: the most of the last minute over the most of the first, which holds the start. The slope is that of
  a straight line through everything after the first minute.
"""
SOURCES = """
INSERT INTO {source} (id, entity_type, entity_id, text, snippet, event_version)
SELECT gen_random_uuid(), 'block', gen_random_uuid(),
    left(repeat(md5(n::text) || ' ', {size} / 33 + 1), {size}), 'snippet ' || n, 1
FROM generate_series(1, {entities}) n
"""
# Round by round, so that the same entity comes again only after all the others.
PENDING = """
INSERT INTO {events} (id, entity_type, entity_id, op, event_version, status, created_at, updated_at)
SELECT gen_random_uuid(), entity_type, entity_id, 'upsert', 1, 'pending',
    now() + round * interval '1 ms', now()
FROM generate_series(1, {rounds}) round, {source} ORDER BY round
"""
AGAIN = """
UPDATE {events} SET status = 'pending', attempts = 0, processed_at = NULL, updated_at = now()
WHERE status = 'done'
"""


def run(rig: Rig, args: Namespace) -> Section:
    """An idle worker, then one for each size of documents."""
    tables.reset(rig)
    figures = [BenchFigure("peak, nothing to do", "MB", [max(_watch(rig, IDLE))])]
    for name, size in SIZES.items():
        say(f"{args.events:,} pending events, {name} documents")
        tables.reset(rig)
        rows.execute(rig, SOURCES, size=size, entities=ENTITIES)
        rows.execute(rig, PENDING, rounds=max(1, args.events // ENTITIES))
        tables.flush(rig)
        with _refilled(rig, args.events):
            figures += _figures(name, _watch(rig, args.minutes))
    about = f"{args.events:,} pending events, {args.minutes:g} minutes for each size of documents."
    return Section("Memory", about, figures, NOTES)


def _figures(name: str, rss: list[float]) -> list[BenchFigure]:
    first, last, later = rss[:MINUTE], rss[-MINUTE:], rss[MINUTE:] if len(rss) > 2 * MINUTE else rss
    slope = MINUTE * linear_regression(range(len(later)), later).slope
    return [
        BenchFigure(f"peak, {name}", "MB", [max(rss)]),
        BenchFigure(f"first minute, {name}", "MB", first),
        BenchFigure(f"last minute, {name}", "MB", last),
        BenchFigure(f"growth, {name}", "", [max(last) / max(first)], digits=2),
        BenchFigure(f"slope, {name}", "MB/min", [slope], digits=2),
    ]


def _watch(rig: Rig, minutes: float) -> list[float]:
    """Resident memory of a worker at each second of so many minutes, in MB."""
    rss: list[float] = []
    with serving(rig) as worker:
        watched, end = psutil.Process(worker.pid), monotonic() + MINUTE * minutes
        while monotonic() < end:
            sleep(1)
            must(worker.poll() is None, "the worker has ended")
            rss.append(watched.memory_info().rss / 1e6)
            if len(rss) % MINUTE == 0:
                say(f"{rss[-1]:.0f} MB, at most {max(rss):.0f}")
    must(worker.returncode == 0, f"the worker exited with {worker.returncode}")
    return rss


@contextmanager
def _refilled(rig: Rig, events: int) -> Iterator[None]:
    """Meanwhile what is done becomes pending again whenever half of it is."""
    ended = threading.Event()

    def refill() -> None:
        while not ended.wait(INTERVAL):
            if tables.done(rig) > events / 2:
                rows.execute(rig, AGAIN)

    with ThreadPoolExecutor(1) as pool:
        refilling = pool.submit(refill)
        try:
            yield
        finally:
            ended.set()
        refilling.result()
