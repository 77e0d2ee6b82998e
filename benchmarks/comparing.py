"""What it costs to compare both sides in full, beside what reading them alone costs."""

from argparse import Namespace
from time import perf_counter, sleep

import psutil

from benchmarks import processes, sink, tables
from benchmarks.command import collected, figures, ratios, say
from benchmarks.figure import BenchFigure
from benchmarks.processes import BY
from benchmarks.report import Section
from benchmarks.rig import SERVERS, Rig
from outboxctl.core.documents.rows import PageRange
from outboxctl.core.documents.table import TableSource
from outboxctl.sink.index.scan import Reader

TITLE = "Verify"
MILLION = 1_000_000
PAGES = 1_000  # of the table, read at once
CPU = "CPU, comparing/reading alone"
NOTES = """\
- Whole commands, from start to exit. In full: every row and every document is read and compared, version and
  content. CPU and memory are of this one; own CPU a million is without that of a run that reads nothing.
- Reading alone: the same rows and the same pages of documents, read once by the same statements and requests,
  one side after the other, and thrown away. The bound is the CPU that this costs PostgreSQL and the engine,
  divided by the cores: no comparison that reads both sides so can be faster.
- "CPU, comparing/reading alone": of all three processes, without that of a run that reads nothing.
"""
UNITS = {"in full/bound": "", CPU: "", "memory": "MB"}


def run(rig: Rig, args: Namespace) -> Section:
    """Fill both sides once, then every figure in each repetition."""
    _fill(rig, args.entities, args.bytes)
    values = collected(rig, args.repeat, lambda _number: _in_full(rig, args.entities))
    values["in full/bound"] = ratios(values["in full"], values["bound"])
    about = f"{args.entities:,} entities of {args.bytes} bytes of JSON, {args.repeat} repetitions."
    title = TITLE if args.entities == MILLION else f"{TITLE}, {args.entities:,} entities"
    return Section(title, about, figures(values, lambda name: UNITS.get(name, "s")), NOTES)


def quick(rig: Rig, entities: int, size: int, repeat: int) -> list[BenchFigure]:
    """The CPU ratio of a smaller comparison, of an index that a rebuild has filled."""
    _fill(rig, entities, size)
    values = [_in_full(rig, entities)[CPU] for _ in range(repeat)]
    return [BenchFigure(CPU, "", values)]


def _fill(rig: Rig, entities: int, size: int) -> None:
    """Write the rows, fill the index by a rebuild, and compare both once, which warms up."""
    say(f"{entities:,} entities")
    tables.entities(rig, entities, sink.text_of(rig, size))
    processes.run(rig, "rebuild", *BY)
    processes.run(rig, "verify")


def _in_full(rig: Rig, entities: int) -> dict[str, float]:
    full = processes.run(rig, "verify")
    idle = processes.run(rig, "status")
    postgres, engine = _reading(rig)
    spent = [run.worker + run.postgres + run.engine for run in (full, idle)]
    return {
        "in full": full.wall,
        "bound": (postgres + engine) / (psutil.cpu_count() or 1),
        CPU: (spent[0] - spent[1]) / (postgres + engine),
        "own CPU": full.worker,
        "own CPU a million": (full.worker - idle.worker) * MILLION / entities,
        "PostgreSQL CPU": full.postgres,
        "Elasticsearch CPU": full.engine,
        "PostgreSQL CPU, reading alone": postgres,
        "Elasticsearch CPU, reading alone": engine,
        "memory": full.rss,
    }


def _reading(rig: Rig) -> list[float]:
    """CPU seconds of PostgreSQL and of the engine, each to read its side once."""
    with rig.database.begin() as connection:
        last = TableSource().last_page(connection) or 0
    reader = Reader(rig.client, rig.settings.elastic_index)
    before = [rig.cpu_seconds(server) for server in SERVERS]
    started = perf_counter()
    for first in range(0, max(1, last), PAGES):
        with rig.database.begin() as connection:
            TableSource().in_range(connection, PageRange(first, first + PAGES), content=True)
    for _ in reader.everything(content=True):
        pass
    say(f"read both sides in {perf_counter() - started:.1f} s")
    sleep(processes.BACKENDS_END)
    return [rig.cpu_seconds(server) - b for server, b in zip(SERVERS, before, strict=True)]
