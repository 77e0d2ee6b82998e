"""Bars of a chart over time: shapes in a field of 1000 by 100 that is stretched to the room there is.

As in the labs' report (ADR 16), text is laid over them as HTML, so that it keeps its size on any screen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from outboxctl.drills.labs.evidence.charts import HEIGHT, WIDTH, Mark, nice

GAP = 0.2  # of a bar's room


@dataclass(frozen=True)
class PageBar:
    """A bar's left edge, top, width and height in the field, and what it says under the mouse."""

    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True)
class BarChart:
    """Bars with the labels of both axes; `total` is their sum."""

    title: str
    total: int
    bars: list[PageBar]
    xs: list[Mark]
    ys: list[Mark]


def chart(title: str, values: Sequence[int], minutes: int, ticks: Sequence[str]) -> BarChart:
    """A bar for each value, the oldest first, each of so many minutes; `ticks` from the left to now."""
    top = nice(max(values, default=0) or 10)
    marks = [Mark(100 * n / (len(ticks) - 1), text) for n, text in enumerate(ticks)]
    ys = [Mark(percent, f"{top * percent / 100:,.4g}") for percent in (0, 50, 100)]
    return BarChart(title, sum(values), list(_bars(values, minutes, top)), marks, ys)


def _bars(values: Sequence[int], minutes: int, top: float) -> Iterator[PageBar]:
    room = WIDTH / max(1, len(values))
    for place, value in enumerate(values):
        if value:
            height = max(1.0, value / top * HEIGHT)  # few are not none
            ago = (len(values) - place) * minutes
            said = f"{value:,} events, {ago} to {ago - minutes} minutes ago"
            yield PageBar(
                round(place * room, 1),
                round(HEIGHT - height, 1),
                round(room * (1 - GAP), 1),
                round(height, 1),
                said,
            )
