"""The figures as one SVG picture that needs nothing else, for light and dark pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from textwrap import wrap
from typing import TYPE_CHECKING

from outboxctl.domain.printable import clean
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.operations.report.templates import templates

if TYPE_CHECKING:
    from jinja2 import Template

LEFT, WIDTH = 200, 430  # of the field that bars are drawn in
A_LINE = 104  # characters of a note
LEAST_SHARE = 0.09  # of all CPU: a part that is narrower has no room for its number
NAMES = {"worker": "worker", "postgres": "PostgreSQL", "engine": "engine"}


@dataclass(frozen=True)
class FigureBar:
    """One bar: its CSS class, its two ends, the whisker's two ends, and its text."""

    whose: str
    name: str
    left: float
    width: float
    low: float
    high: float
    text: str


def picture(
    title: str, rates: Mapping[str, BenchFigure], costs: Mapping[str, BenchFigure], notes: Sequence[str] = ()
) -> str:
    """An SVG document of bars with their spread, and of the CPU an event, stacked.

    `rates` in events/s by whose they are (`engine`: S, `postgres`: P, `bound`: B, `worker`: E), `costs`
    in us/event by `worker`, `postgres` and `engine`. Either may be empty, or lack some. Notes are
    broken into lines.
    """
    lines = [line for note in notes for line in wrap(clean(note), A_LINE)]
    return _template().render(
        title=clean(title), bars=list(_bars(rates)), costs=list(_stacked(costs)), lines=lines, left=LEFT
    )


def _bars(rates: Mapping[str, BenchFigure]) -> Iterator[FigureBar]:
    top = max((max(figure.values) for figure in rates.values()), default=1) or 1
    for whose, figure in rates.items():
        low, middle, high = (f(figure.values) / top * WIDTH for f in (min, median, max))
        shown = f"{median(figure.values):,.0f}/s"
        yield FigureBar(whose, clean(figure.name), LEFT, middle, LEFT + low, LEFT + high, shown)


def _stacked(costs: Mapping[str, BenchFigure]) -> Iterator[FigureBar]:
    """One after the other; less than nothing, as a very short run may show, is nothing."""
    parts = {whose: max(0.0, median(figure.values)) for whose, figure in costs.items()}
    whole, left = sum(parts.values()) or 1.0, float(LEFT)
    for whose, part in parts.items():
        width = part / whole * WIDTH
        shown = f"{part:.1f}" if part / whole >= LEAST_SHARE else ""
        yield FigureBar(whose, f"{NAMES.get(whose, whose)} {part:.1f} us", left, width, left, left, shown)
        left += width


def _template() -> "Template":
    return templates(__file__).get_template("picture.svg")
