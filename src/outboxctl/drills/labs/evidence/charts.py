"""The charts of a lab's record: lines and areas over time, the faults' windows, the marks of both axes.

A chart is drawn in a field of WIDTH by HEIGHT that the page stretches; its text is laid over as HTML, so that
it keeps its size on any screen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from outboxctl.drills.labs.model import LabSample, Record

WIDTH, HEIGHT = 1000, 100
STEPS = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
MOST_POINTS = 160
TITLES = {
    "status": "Events by status",
    "lag": "Lag, events",
    "age": "Oldest event, s",
    "sum": "Attempts in all",
}
STACKED = ("done", "failed", "processing", "pending")  # from the bottom
Point = tuple[float, float]


Mark = tuple[float, str]  # a label at so many percent of an axis


@dataclass(frozen=True)
class LabChart:
    """One chart; `peak` is its highest value, `shapes` are SVG elements, their classes and points."""

    name: str
    title: str
    peak: str
    shapes: list[tuple[str, str, str]]
    xs: list[Mark]
    ys: list[Mark]


def shades(record: Record) -> list[tuple[float, float, str]]:
    """The windows of all faults, numbered if several: left edge and width in percent, and a label."""
    end, many, found = _end(record), len(record.windows) > 1, []
    for number, window in enumerate(record.windows, 1):
        width = ((end if window.ended is None else window.ended) - window.began) / end * 100
        label = str(number) if many else window.fault
        found.append((round(window.began / end * 100, 2), round(max(width, 0.4), 2), label))
    return found


def charts(record: Record) -> list[LabChart]:
    """Status over time first, then lag, age and attempts; none without samples."""
    samples = record.samples[:: ceil(len(record.samples) / MOST_POINTS) or 1]
    if len(samples) < 2:  # noqa: PLR2004 - a line has two ends
        return []
    end = _end(record)
    singles: dict[str, list[Point]] = {
        "lag": [(each.at, each.look.lag) for each in samples],
        "age": [(each.at, each.look.oldest_age) for each in samples],
        "sum": [(each.at, each.look.attempts) for each in samples],
    }
    return [_status(samples, end), *(_single(name, line, end) for name, line in singles.items())]


def _status(samples: Sequence[LabSample], end: float) -> LabChart:
    top = _nice(max(each.look.total for each in samples) or 1)
    below: list[Point] = [(each.at, 0.0) for each in samples]
    areas = []
    for name in STACKED:
        above = [(at, low + getattr(each.look, name)) for (at, low), each in zip(below, samples, strict=True)]
        areas.append(("polygon", name, _points([*above, *reversed(below)], end, top)))
        below = above
    return _chart("status", "", areas, end, top)


def _single(name: str, line: Sequence[Point], end: float) -> LabChart:
    peak = max(value for _, value in line)
    top = _nice(peak or 1)
    area = _points([*line, (line[-1][0], 0.0), (line[0][0], 0.0)], end, top)
    shapes = [("polygon", name, area), ("polyline", name, _points(line, end, top))]
    return _chart(name, _number(peak), shapes, end, top)


def _chart(name: str, peak: str, shapes: list[tuple[str, str, str]], end: float, top: float) -> LabChart:
    step = _nice(end / 6)
    xs = [(round(n * step / end * 100, 2), f"{n * step:g}") for n in range(ceil(end / step))]
    ys = [(percent, _number(top * percent / 100)) for percent in (0.0, 50.0, 100.0)]
    return LabChart(name, TITLES[name], peak, shapes, xs, ys)


def _points(line: Iterable[Point], right: float, top: float) -> str:
    """A line in the field, whose right edge is at x = `right` and whose top at y = `top`."""
    return " ".join(f"{x / right * WIDTH:.0f},{HEIGHT - y / top * HEIGHT:.1f}" for x, y in line)


def _nice(value: float) -> float:
    """The next round number at or above `value`, which is above 0."""
    power = 10.0 ** floor(log10(value))
    return next((step * power for step in STEPS if step * power >= value), 10 * power)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004


def _end(record: Record) -> float:
    seconds = [sample.at for sample in record.samples] + [window.ended or 0 for window in record.windows]
    return max([record.seconds, *seconds]) or 1.0
