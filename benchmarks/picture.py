"""docs/performance.svg, made of the base run's figures."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks import base
from benchmarks.report import Section
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.picture import picture

TITLE = "What both ends can do, and what the worker does with them"
FILE = Path(__file__).parents[1] / "docs" / "performance.svg"
RATES = {
    "engine": "S: sink alone",
    "postgres": "P: claim and settle",
    "bound": "B: bound",
    "worker": "E: end to end",
}
COSTS = {"worker": "worker CPU", "postgres": "PostgreSQL CPU", "engine": "Elasticsearch CPU"}


def draw(section: Section) -> None:
    """Draw the base run; other sections have no picture."""
    if section.title == base.TITLE:
        FILE.write_text(picture(TITLE, _of(section, RATES), _of(section, COSTS), [section.about]))


def _of(section: Section, names: Mapping[str, str]) -> dict[str, BenchFigure]:
    by_name = {figure.name: figure for figure in section.figures}
    return {whose: by_name[name] for whose, name in names.items()}
