"""A bar chart over time, as SVG and the marks of both axes (ADR 16)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from outboxctl.operations.report import svg
from outboxctl.operations.report.svg import HEIGHT, WIDTH, Mark, nice

GAP = 0.2  # of a bar's room


@dataclass(frozen=True)
class BarChart:
    """The picture, and the labels of both axes; `total` is the sum of the values."""

    title: str
    total: int
    svg: Markup
    xs: list[Mark]
    ys: list[Mark]


def chart(title: str, values: Sequence[int], minutes: int, ticks: Sequence[str]) -> BarChart:
    """A bar for each value, the oldest first, each of so many minutes; `ticks` from the left to now."""
    top = nice(max(values, default=0) or 10)
    marks = [Mark(100 * n / (len(ticks) - 1), text) for n, text in enumerate(ticks)]
    ys = [Mark(percent, f"{top * percent / 100:,.4g}") for percent in (0, 50, 100)]
    picture = svg.chart(f"Events done, {title.lower()}", ys, *_bars(values, minutes, top))
    return BarChart(title, sum(values), picture, marks, ys)


def _bars(values: Sequence[int], minutes: int, top: float) -> Iterator[str]:
    """A bar with its numbers as a tooltip for each value but 0."""
    room = WIDTH / max(1, len(values))
    for place, value in enumerate(values):
        if value:
            height = max(1.0, value / top * HEIGHT)  # a small value stays visible
            ago = (len(values) - place) * minutes
            tooltip = svg.element("title", f"{value:,} events, {ago} to {ago - minutes} minutes ago")
            size = {"x": place * room, "y": HEIGHT - height, "width": room * (1 - GAP), "height": height}
            yield svg.element("rect", tooltip, class_="done", **size)
