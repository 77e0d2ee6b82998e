"""A run as a report: as the JSON of `--json` and `bench.json`, as Markdown, and as a picture."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from statistics import median
from typing import Any

from outboxctl.domain.printable import counted
from outboxctl.drills.bench.advice import advise
from outboxctl.drills.bench.figure import BenchFigure, table
from outboxctl.drills.bench.measured import Measured
from outboxctl.drills.bench.options import Cell
from outboxctl.drills.bench.picture import picture

BOUNDS = {
    True: "B = 1/(1/P + 1/S): both servers are on this machine, and all three share its cores.",
    False: "B = the lower of P and S: the servers have cores of their own.",
}
DRAWN = {"engine": "s", "postgres": "p", "bound": "b", "worker": "e"}
COSTS = {"worker": "worker_cpu", "postgres": "postgres_cpu", "engine": "engine_cpu"}


@dataclass(frozen=True)
class BenchReport:
    """What was measured; `figures` by key, `cells` of a search with the median of each."""

    started_at: datetime
    seconds: float
    interrupted: bool
    machine: Mapping[str, str]
    measured: Measured

    @property
    def figures(self) -> dict[str, BenchFigure]:
        """By key, in the order in which they are shown."""
        return self.measured.figures()

    @property
    def advice(self) -> list[str]:
        """Sentences on the limit and on what to change."""
        return advise(self.measured)

    @property
    def bound(self) -> str:
        """How B is computed here."""
        return BOUNDS[self.measured.shared]

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
        trips = {name: f"{self.measured.trips.get(name, 0):.1f} ms" for name in ("postgres", "engine")}
        to = f"round trip to PostgreSQL {trips['postgres']}, to the engine {trips['engine']}"
        return ", ".join([*(f"{key} {value}" for key, value in self.machine.items()), to])

    def plain(self) -> dict[str, Any]:
        """The report as JSON values."""
        m = self.measured
        return {
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "interrupted": self.interrupted,
            "machine": dict(self.machine),
            "round_trip_ms": m.trips,
            "given": {name: getattr(m.options, name) for name in ("events", "bytes", "repeat")},
            "bytes_a_request_line": m.line,
            "setting": m.best and asdict(m.best),
            "bound": "shared cores" if m.shared else "separate",
            "figures": {key: _plain(figure) for key, figure in self.figures.items()},
            "cells": [asdict(cell) | {"e": values} for cell, values in m.matrix.items()],
            "advice": self.advice,
        }

    def markdown(self) -> str:
        """The report as Markdown."""
        figures = table(list(self.figures.values())) if self.figures else ""
        cells = _cells(self.measured.matrix)
        parts = [
            "# outboxctl bench",
            self.options_line,
            self.where + ".",
            figures,
            cells,
            *self.advice,
            self.bound,
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

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


def _cells(matrix: Mapping[Cell, list[float]]) -> str:
    rates = [BenchFigure(f"E: {cell}", "events/s", v) for cell, v in matrix.items() if v]
    return table(rates) if rates else ""
