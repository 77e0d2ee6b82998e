"""One row with a million documents behind it: its writer, its expansion, and the worker's memory."""

from argparse import Namespace
from collections.abc import Sequence
from statistics import median
from time import monotonic, perf_counter, sleep

import psutil

from benchmarks import lanes, processes, shop, tables
from benchmarks.command import collected, figures
from benchmarks.report import FAN_OUT, Section
from benchmarks.rig import Rig
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.projection import DOCUMENTS

CHANGES = 5  # of the row, each in a transaction of its own
WINDOW = 40.0  # seconds of the worker that are watched
LOOK = 0.2  # seconds between two looks at its memory
# Documents of the events that are done: an event is of one document, or of all that it lists.
KEYS = f"""
SELECT count(*) FILTER (WHERE follow IS NULL)
    + coalesce(sum(json_array_length(entity_key::json)) FILTER (WHERE follow = {DOCUMENTS}), 0)
FROM {EVENTS} WHERE status = 'done'
"""
UNFINISHED = f"SELECT CAST(EXISTS (SELECT FROM {EVENTS} WHERE status IN ('pending', 'processing')) AS int)"
CHANGE, GROWTH = "the change's transaction", "worker memory, last third/middle third"
UNITS = {
    CHANGE: "ms",
    "expanded": "keys/s",
    "expanded and delivered": "documents/s",
    "worker memory, at the most": "MB",
    GROWTH: "",
}
NOTES = f"""\
- The writer's transaction: from BEGIN to after COMMIT, the median of {CHANGES} changes of the row.
- Expanded: the transactions of the worker's expander alone, which find the keys and write their events, of
  the keys that it has found after {WINDOW:g} s.
- Expanded and delivered: documents that a worker has delivered after {WINDOW:g} s, or once all are; from its
  line "worker started". Its memory (RSS) is looked at every {LOOK:g} s meanwhile; the ratio is of the most of
  the last third of these looks to the most of the middle one: the first holds the start.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """The expander alone, then a worker, in each repetition."""

    def repetition(_number: int) -> dict[str, float]:
        expanded = _expanded(rig)
        return {CHANGE: changed(rig), "expanded": expanded} | _delivered(rig)

    shop.fill(rig, args.documents, categories=1, parts=0)
    with shop.declared(rig):
        values = collected(rig, args.repeat, repetition)
    about = f"{args.documents:,} documents, {args.repeat} repetitions."
    return Section(FAN_OUT, about, figures(values, UNITS.__getitem__), NOTES)


def changed(rig: Rig) -> float:
    """Milliseconds of a change of the row; there are CHANGES follow events of it afterwards."""
    _empty(rig)
    times = []
    for _ in range(CHANGES):
        began = perf_counter()
        shop.rename(rig, 1)
        times.append(1_000 * (perf_counter() - began))
    return median(times)


def _empty(rig: Rig) -> None:
    tables.execute(rig, f"TRUNCATE {EVENTS}")
    tables.flush(rig)


def _expanded(rig: Rig) -> float:
    _empty(rig)
    shop.rename(rig, 1)
    seconds = lanes.expanded_alone(rig, WINDOW)
    return tables.number(rig, KEYS) / seconds


def _delivered(rig: Rig) -> dict[str, float]:
    """A worker that starts with the follow events of the row: what it has delivered, and its memory."""
    memory, before = list[int](), shop.written(rig, shop.index_of(rig))
    with processes.serving(rig) as worker:
        watched, began = psutil.Process(worker.pid), monotonic()
        while monotonic() < began + WINDOW and tables.number(rig, UNFINISHED):
            memory.append(watched.memory_info().rss)
            sleep(LOOK)
        seconds = monotonic() - began
        done = shop.written(rig, shop.index_of(rig)) - before
    rate, growth = done / seconds, _growth(memory)
    return {"expanded and delivered": rate, "worker memory, at the most": max(memory) / 1e6, GROWTH: growth}


def _growth(memory: Sequence[int]) -> float:
    third = max(1, len(memory) // 3)
    return max(memory[-third:]) / max(memory[third : 2 * third] or memory)
