"""The first fill: `rebuild` against what both ends can do alone."""

import subprocess
from argparse import Namespace
from collections.abc import Iterator
from itertools import islice
from time import perf_counter, sleep
from typing import NamedTuple

import psutil

from benchmarks import sink, tables
from benchmarks.command import collected, figures, say
from benchmarks.figure import BenchFigure
from benchmarks.processes import BY, begin
from benchmarks.report import Section
from benchmarks.rig import SERVERS, Rig, must
from outboxctl.core.documents.rows import Page
from outboxctl.core.documents.source import PageOptions
from outboxctl.core.documents.table import TableSource
from outboxctl.core.schema.names import REBUILDS
from outboxctl.operations.rebuild.source import PAGE_BYTES
from outboxctl.sink.delivery.bulk import RawActions
from outboxctl.sink.index import index_setup

TITLE = "First fill"
MOST = 1_000_000  # documents that S sends, from memory
FEW = 100_000  # documents for which one, two and three senders are tried
LOOK = 0.02  # seconds between two looks at the phase and at memory
PHASE = f"SELECT phase FROM {REBUILDS} ORDER BY started_at DESC LIMIT 1"
WHOSE = {"own": "own", "postgres": "PostgreSQL", "engine": "Elasticsearch"}
UNITS = {"CPU": "us/document", "memory": "MB"}
BOUND = "F/bound"
RATIOS = ("F/S", "F/(S and R)", BOUND, "whole/S")
NOTES = f"""\
- S: as in "Pipeline", but as many documents as are filled ({MOST:,} at the most), since a document costs more
  the larger its index is; by 1, 2 or 3 senders, whichever was best with the first {FEW:,}. R: a process that
  reads all rows as the rebuild does, and sends nothing. Bound: the lower of S and 1 / (1/R + 1/S), since all
  share the cores of one machine.
- F: a real `outboxctl rebuild --yes`, from the row's phase `fill` to the next one; its CPU an entity, and
  that of both servers, are of these seconds. "Whole": from exec to exit, with start, swap and the comparison
  of all entities. Memory: the most of the whole process.
"""


class Moment(NamedTuple):
    """A point in time, and the CPU seconds spent until then: its own, PostgreSQL's and the engine's."""

    at: float
    own: float
    postgres: float
    engine: float


def run(rig: Rig, args: Namespace) -> Section:
    """All in turns, once before that does not count for the engine."""
    text = sink.text_of(rig, args.bytes)

    def repetition(_number: int) -> dict[str, float]:
        tables.entities(rig, args.rows, text)
        return _against_bounds(rig, args.rows)

    say("warm-up")
    _warm_up(rig, min(args.rows, FEW), text)
    values = collected(rig, args.repeat, repetition)
    about = f"{args.rows:,} rows of {args.bytes} bytes of JSON, {args.repeat} repetitions."
    return Section(TITLE, about, figures(values, _unit), NOTES)


def quick(rig: Rig, count: int, size: int, repeat: int) -> list[BenchFigure]:
    """The fill of fewer rows against its bound."""
    _warm_up(rig, count, sink.text_of(rig, size))
    values = [_against_bounds(rig, count)[BOUND] for _ in range(repeat)]
    return [BenchFigure(BOUND, "", values, at_least=True)]


def _warm_up(rig: Rig, count: int, text: int) -> None:
    tables.entities(rig, count, text)
    sink.warm_up(rig, _bodies(rig), count, documents=min(count, sink.WARM_UP))


def _against_bounds(rig: Rig, count: int) -> dict[str, float]:
    """What both ends can do alone, the fill, and the ratios."""
    found = _bounds(rig, count) | _filled(rig, count)
    s, r, f = found["S: sink alone"], found["R: reading alone"], found["F: filling"]
    both = 1 / (1 / r + 1 / s)
    return found | dict(zip(RATIOS, (f / s, f / both, f / min(s, both), found["whole"] / s), strict=True))


def _bounds(rig: Rig, count: int) -> dict[str, float]:
    bodies, few = _bodies(rig), min(count, FEW)
    by_senders = sink.limit(rig, bodies[: few // rig.settings.bulk_size], few)
    senders = max(by_senders, key=by_senders.__getitem__)
    best = by_senders[senders] if few == count else sink.rate(rig, bodies, senders, min(count, MOST))
    began = perf_counter()
    read = sum(map(len, _pages(rig)))
    seconds = perf_counter() - began
    tables.fresh_index(rig)
    return {"S: sink alone": best, "R: reading alone": read / seconds}


def _pages(rig: Rig) -> Iterator[Page]:
    pages = TableSource().pages(rig.database, None, PageOptions(rig.settings.bulk_size, PAGE_BYTES))
    return (page.rows for page in pages)


def _bodies(rig: Rig) -> list[bytes]:
    pages = islice(_pages(rig), MOST // rig.settings.bulk_size)
    return [RawActions(page).body() or b"" for page in pages]


def _filled(rig: Rig, count: int) -> dict[str, float]:
    """A rebuild from exec to exit, and that all documents are there."""
    tables.flush(rig)
    began = perf_counter()
    with begin(rig, "rebuild", *BY, "--json", stderr=subprocess.DEVNULL) as process:
        try:
            watched = _watched(rig, process, count)
        finally:
            process.kill()
    must(process.returncode == 0, f"rebuild exited with {process.returncode}")
    whole = count / (perf_counter() - began)
    held = index_setup.count(rig.client, rig.settings.elastic_index)
    must(held == count, f"{held} documents for {count} entities")
    return watched | {"whole": whole}


def _watched(rig: Rig, process: subprocess.Popen[str], count: int) -> dict[str, float]:
    """The rate and the CPU of the phase `fill`, and the most memory."""
    watched, peak, moments = psutil.Process(process.pid), 0, dict[str, Moment]()
    while process.poll() is None:
        peak = max(peak, watched.memory_info().rss)
        moments.setdefault(_phase(rig), _moment(rig, watched))
        sleep(LOOK)
    order = [*moments]
    must("fill" in order[:-1], f"the fill was not seen: {order}")
    one, other = moments["fill"], moments[order[order.index("fill") + 1]]
    cpu = {f"{who} CPU": 1e6 * (getattr(other, w) - getattr(one, w)) / count for w, who in WHOSE.items()}
    return {"F: filling": count / (other.at - one.at), **cpu, "memory": peak / 1e6}


def _phase(rig: Rig) -> str:
    with rig.database.begin() as connection:
        return str(connection.execute(tables.sql(PHASE)).scalar())


def _moment(rig: Rig, watched: psutil.Process) -> Moment:
    times = watched.cpu_times()
    return Moment(perf_counter(), times.user + times.system, *(rig.cpu_seconds(name) for name in SERVERS))


def _unit(name: str) -> str:
    return "" if name in RATIOS else next((unit for word, unit in UNITS.items() if word in name), "docs/s")
