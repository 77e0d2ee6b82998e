"""A run as JSON, as Markdown and as a picture, with advice: what is the limit, and what to change first."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from datetime import datetime
from math import ceil
from statistics import median
from typing import Any

from outboxctl.domain.printable import counted
from outboxctl.drills.bench.figure import BenchFigure, picture, table
from outboxctl.drills.bench.measured import LARGEST_BATCH, MOST_LANES, Measured
from outboxctl.drills.bench.rig import SERVERS

AT_THE_BOUND = 0.85
ABOVE = 1.1
SCATTER = 0.3  # of the median, between the lowest and the highest E
BUSY = 0.25  # cores
STARTING = 0.1  # of the seconds that E took
MOST_WORKERS = 16
BOUNDS = {
    True: "B = 1/(1/P + 1/S): both servers are on this machine, and all three share its cores.",
    False: "B = the lower of P and S: the servers have cores of their own.",
}
DRAWN = {"engine": "s", "postgres": "p", "bound": "b", "worker": "e"}
COSTS = {"worker": "worker_cpu", "postgres": "postgres_cpu", "engine": "engine_cpu"}


@dataclass(frozen=True)
class BenchReport:
    """What was measured, when and on which machine."""

    started_at: datetime
    seconds: float
    machine: Mapping[str, str]
    measured: Measured

    @property
    def figures(self) -> dict[str, BenchFigure]:
        """By key, in the order in which they are shown."""
        return self.measured.figures()

    @property
    def options_line(self) -> str:
        """The options, in one line."""
        m, options = self.measured, self.measured.options
        size = f"{options.bytes:,} bytes of JSON ({m.line:,} with the line of the bulk request)"
        done, repeat = f"{len(m.e)} of " if m.interrupted else "", counted(options.repeat, "repetition")
        setting = m.best or "several settings"
        return f"{options.events:,} events of {size}; {setting}; {done}{repeat}."

    @property
    def where(self) -> str:
        """The machine, the versions and the round trips to both servers, in one line."""
        postgres, engine = (self.measured.trips.get(server, 0) for server in SERVERS)
        to = f"round trip to PostgreSQL {postgres:.1f} ms, to the engine {engine:.1f} ms"
        return ", ".join([*(f"{key} {value}" for key, value in self.machine.items()), to])

    def plain(self) -> dict[str, Any]:
        """The report as JSON values."""
        m = self.measured
        return {
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "interrupted": m.interrupted,
            "machine": dict(self.machine),
            "round_trip_ms": m.trips,
            "given": {name: getattr(m.options, name) for name in ("events", "bytes", "repeat")},
            "bytes_a_request_line": m.line,
            "setting": m.best and asdict(m.best),
            "bound": "shared cores" if m.shared else "separate",
            "figures": {key: _plain(figure) for key, figure in self.figures.items()},
            "cells": [asdict(cell) | {"e": values} for cell, values in m.matrix.items()],
            "advice": [*advise(m)],
        }

    def markdown(self) -> str:
        """The report as Markdown."""
        m = self.measured
        cells = [BenchFigure(f"E: {cell}", "events/s", v) for cell, v in m.matrix.items() if v]
        tables = [table(figures) for figures in (list(self.figures.values()), cells) if figures]
        head = ("# outboxctl bench", self.options_line, self.where + ".")
        return "\n\n".join([*head, *tables, *advise(m), BOUNDS[m.shared]]) + "\n"

    def picture(self) -> str:
        """The report as an SVG picture."""
        shown = self.figures
        rates = {whose: shown[key] for whose, key in DRAWN.items()} if shown else {}
        costs = {whose: shown[key] for whose, key in COSTS.items() if key in shown}
        return picture("From PostgreSQL to Elasticsearch", rates, costs, [self.options_line, self.where])


def _plain(figure: BenchFigure) -> dict[str, Any]:
    low, middle, high = (f(figure.values) for f in (min, median, max))
    shown = {"name": figure.name, "unit": figure.unit}
    return shown | {"median": middle, "low": low, "high": high, "values": figure.values}


def advise(m: Measured) -> Iterator[str]:
    """Sentences on the limit and on what to change, doubts first; none before a repetition is complete."""
    if not m.e:
        return
    s, p = median(m.sink), median(each.rate for each in m.p)
    ratio, slower = median(m.ratio), "the database" if p < s else "the sink"
    yield from _doubts(m)
    yield f"The sink takes {s:,.0f}/s, the database {p:,.0f}/s; the worker reaches {ratio:.2f} of the bound."
    if m.shared and ratio > ABOVE:
        yield "That is more than three who share all cores can: some cores were free, or are elsewhere."
    elif ratio < AT_THE_BOUND:
        yield _room(m, ratio)
    elif m.shared:
        yield (
            f"Worker, database and sink share these cores: {slower} costs the most, and more lanes or "
            "workers will not help before one of them gets a machine of its own."
        )
    else:
        yield f"The limit is {slower}: more lanes or workers will not help before it gets faster."


def _room(m: Measured, ratio: float) -> str:
    workers = min(MOST_WORKERS, ceil(1 / ratio))
    more = f"start {workers} workers: both ends have room" if workers > 1 else "the worker is the limit"
    if m.options.searching:
        return f"The worker is the limit: {more}."
    ((lane, size),) = map(astuple, m.options.cells)
    lanes = sorted({min(MOST_LANES, n) for n in (lane, lane + 1, 2 * lane)})
    sizes = sorted({min(LARGEST_BATCH, n) for n in (size, 2 * size)})
    flags = f"--concurrency {','.join(map(str, lanes))} --bulk-size {','.join(map(str, sizes))}"
    return f"The worker is the limit: look for a better setting with {flags}; then {more}."


def _doubts(m: Measured) -> Iterator[str]:
    """Reasons why another run may show other figures."""
    rates = [each.rate for each in m.e]
    spread = (max(rates) - min(rates)) / median(rates)
    if spread > SCATTER:
        yield f"E scatters by {spread:.0%} of its median: run it again, in quiet or with more --events."
    if (share := median(e.start * e.rate for e in m.e) / m.options.events) > STARTING:
        yield f"{share:.0%} of E's time is the worker's start: more --events show its pace, and a higher E."
    if any(median(m.cpu(whose)) <= 0 for whose in ("worker", *m.known)):
        yield "CPU below 0 is none: take more --events, or a time when the servers have nothing else to do."
    if m.others and median(m.others) > BUSY:
        yield f"Others took {median(m.others):.1f} of this machine's cores meanwhile: alone it does more."
