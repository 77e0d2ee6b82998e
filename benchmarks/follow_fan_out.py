"""One row with a million documents behind it: its writer, its expansion, and the worker's memory."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from time import monotonic, perf_counter, sleep

import psutil

from benchmarks import expander, processes
from benchmarks.beside import BY
from benchmarks.command import OTHERS, collected
from benchmarks.report import FAN_OUT, Section
from outboxctl.core.schema.names import EVENTS
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig
from outboxctl.sink.index import index_setup

SCHEMA = "bench_fan_out"
CHANGES = 5  # of the row, each in a transaction of its own
WINDOW = 40.0  # seconds of the worker that are watched
LOOK = 0.2  # seconds between two looks at its memory
TABLES = f"""
DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.groups (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE {SCHEMA}.items (id int PRIMARY KEY, name text NOT NULL, group_id int NOT NULL);
INSERT INTO {SCHEMA}.groups VALUES (1, 'one');
INSERT INTO {SCHEMA}.items SELECT n, 'item ' || n, 1 FROM generate_series(1, {{count}}) n;
CREATE INDEX ON {SCHEMA}.items (group_id, id);
CREATE VIEW {SCHEMA}.documents AS SELECT i.id, i.name, g.name AS "group"
    FROM {SCHEMA}.items i JOIN {SCHEMA}.groups g ON g.id = i.group_id;
"""
DECLARED = f"""
[projections.fan_out]
root = "{SCHEMA}.items"
key = "id"
document = "{SCHEMA}.documents"
index = "{{index}}"
[[projections.fan_out.follow]]
table = "{SCHEMA}.groups"
keys = "SELECT id FROM {SCHEMA}.items WHERE group_id = :id"
"""
CHANGE = f"UPDATE {SCHEMA}.groups SET name = name || '.'"
DONE = f"SELECT count(*) FROM {EVENTS} WHERE follow IS NULL AND status = 'done'"
UNFINISHED = f"SELECT CAST(EXISTS (SELECT FROM {EVENTS} WHERE status IN ('pending', 'processing')) AS int)"
FIGURES = (
    BenchFigure("the change's transaction", "ms", [], digits=2),
    BenchFigure("expanded", "keys/s", []),
    BenchFigure("expanded and delivered", "documents/s", []),
    BenchFigure("worker memory, at the most", "MB", []),
    BenchFigure("worker memory, last third/middle third", "", [], digits=2),
    BenchFigure(OTHERS, "", [], digits=2),
)
NOTES = f"""\
- The writer's transaction: from BEGIN to after COMMIT, the median of {CHANGES} changes of the row.
- Expanded: as in "Projections", the transactions of the expander alone, of the keys that it has found after
  {WINDOW:g} s.
- Expanded and delivered: documents that a worker has delivered after {WINDOW:g} s, or once all are; from its
  line "worker started". Its memory (RSS) is looked at every {LOOK:g} s meanwhile; the ratio is of the most of
  the last third of these looks to the most of the middle one: the first holds the start.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """The expander alone, then a worker, in each repetition."""

    def repetition(_number: int) -> dict[str, float]:
        expanded = _expanded(rig)
        return {"the change's transaction": changed(rig), "expanded": expanded} | _delivered(rig)

    with _declared(rig, args.documents):
        values = collected(rig, args.repeat, repetition)
    figures = [BenchFigure(f.name, f.unit, values[f.name], digits=f.digits) for f in FIGURES]
    return Section(FAN_OUT, f"{args.documents:,} documents, {args.repeat} repetitions.", figures, NOTES)


@contextmanager
def _declared(rig: Rig, count: int) -> Iterator[None]:
    tables.execute(rig, TABLES.format(count=count))
    with rig.database.apart() as session:
        session.execute(f"VACUUM (ANALYZE) {SCHEMA}.items".encode())
    index, file = f"fan-out-of-{rig.settings.elastic_index}", rig.folder / "fan_out.toml"
    index_setup.remove(rig.client, index)
    file.write_text(DECLARED.format(index=index))
    processes.answer(rig, "projection", "apply", str(file), *BY)
    try:
        yield
    finally:
        processes.answer(rig, "projection", "drop", "fan_out", *BY)
        index_setup.remove(rig.client, index)


def changed(rig: Rig) -> float:
    """Milliseconds of a change of the row; there are CHANGES follow events of it afterwards."""
    _empty(rig)
    times = []
    for _ in range(CHANGES):
        began = perf_counter()
        tables.execute(rig, CHANGE)
        times.append(1_000 * (perf_counter() - began))
    return median(times)


def _empty(rig: Rig) -> None:
    tables.execute(rig, f"TRUNCATE {EVENTS}")
    tables.flush(rig)


def _expanded(rig: Rig) -> float:
    _empty(rig)
    tables.execute(rig, CHANGE)
    seconds = expander.seconds_alone(rig, WINDOW)
    return tables.number(rig, DONE) / seconds


def _delivered(rig: Rig) -> dict[str, float]:
    """A worker that starts with the follow events of the row: what it has delivered, and its memory."""
    memory = list[int]()
    with processes.serving(rig) as worker:
        watched, began = psutil.Process(worker.pid), monotonic()
        while monotonic() < began + WINDOW and tables.number(rig, UNFINISHED):
            memory.append(watched.memory_info().rss)
            sleep(LOOK)
        seconds = monotonic() - began
        done = tables.number(rig, DONE)
    rate, growth = done / seconds, _growth(memory)
    return dict(zip([f.name for f in FIGURES[2:5]], (rate, max(memory) / 1e6, growth), strict=True))


def _growth(memory: Sequence[int]) -> float:
    third = max(1, len(memory) // 3)
    return max(memory[-third:]) / max(memory[third : 2 * third] or memory)
