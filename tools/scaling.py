"""The tables of docs/details/scaling-figures.md, from `benchmarks/RESULTS.json`, between their marks."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import base, report, scale
from benchmarks.scale import DIRECT, EACH_WAY, FAR, GOAL, GRID, LOOPBACK, WAITING, ratio_name

from outboxctl.drills.bench.figure import BenchFigure

PAGE = Path(__file__).parents[1] / "docs" / "details" / "scaling-figures.md"
BLOCK = re.compile(r"<!-- (\w+): written by `make docs` -->\n.*?<!-- end -->", re.S)
ABSENT = ["not run yet", ""]
Figures = Mapping[str, BenchFigure]
# What a row says, and the names of its figures: a rate, and its ratio.
DELAYS = [
    ("none, no proxy", DIRECT, None),
    ("none", LOOPBACK, DIRECT),
    *((f"{delay} ms to both", GRID[delay][0], LOOPBACK) for delay in (1, 5)),
    ("2 ms to PostgreSQL, 5 ms to the engine", GOAL, LOOPBACK),
    ("the same each way", EACH_WAY, LOOPBACK),
    ("5 ms to both, two workers", FAR[1], FAR[0]),
    ("5 ms to both, four workers", FAR[2], FAR[0]),
    ("5 ms to both, 100 events a batch", WAITING[0], None),
    ("the same, two workers", WAITING[1], WAITING[0]),
    ("the same, four workers", WAITING[2], WAITING[0]),
]
COSTS = {"worker": "worker CPU", "PostgreSQL": "PostgreSQL CPU", "engine, no replica": "Elasticsearch CPU"}
MILLION = 1_000_000


def page() -> str:
    """The page with its tables as RESULTS.json has them now."""
    sections = report.read()["sections"]
    scaled, pipeline = (_figures(sections.get(title, {})) for title in (scale.TITLE, base.TITLE))
    tables = {
        "measured": _table(["delay of a round trip", "rate", "spread", "ratio", "spread"], _delays(scaled)),
        "costs": _table(["who", "an event", "arithmetic"], _costs(pipeline, scaled)),
        "million": _table(["who", "1,000,000 events/s take"], _million(pipeline, scaled)),
    }
    return BLOCK.sub(lambda mark: _block(mark[1], tables[mark[1]]), PAGE.read_text())


def _block(name: str, table: str) -> str:
    return f"<!-- {name}: written by `make docs` -->\n\n{table}\n\n<!-- end -->"


def _figures(section: Mapping[str, Any]) -> Figures:
    return {figure.name: figure for figure in report.figures(section) if figure.values}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _delays(scaled: Figures) -> Iterable[Sequence[str]]:
    for what, away, than in DELAYS:
        names = [str(away), ratio_name(away, than) if than else ""]
        yield [what, *(cell for name in names for cell in _cells(scaled, name))]


def _cells(figures: Figures, name: str) -> list[str]:
    if not name:
        return ["", ""]
    return figures[name].cells()[1:3] if name in figures else ABSENT


def _costs(pipeline: Figures, scaled: Figures) -> Iterable[Sequence[str]]:
    for who, name in COSTS.items():
        cost = median(pipeline[name].values)
        yield [f"{who}, CPU", f"{cost:.1f} us", f"{MILLION / cost:,.0f} events/s a core"]
    if wal := scaled.get(scale.WAL):
        size = median(wal.values)
        yield ["claim and settle, WAL", f"{size:,.0f} bytes", f"{size / 10:,.0f} MB/s at 100,000 events/s"]


def _million(pipeline: Figures, scaled: Figures) -> Iterable[Sequence[str]]:
    worker, postgres, engine = (median(pipeline[name].values) for name in COSTS.values())
    yield ["workers", f"{worker:.0f} cores, so {worker / 0.8:.0f} processes that are busy for 80 %"]
    yield ["PostgreSQL", f"{postgres:.0f} cores for claims and settles, beside what your application takes"]
    yield ["engine", f"{engine:.0f} cores without replicas, {2 * engine:.0f} with one, searches not counted"]
    if wal := scaled.get(scale.WAL):
        yield ["WAL", f"{median(wal.values):,.0f} MB/s, beside that of your own rows"]
