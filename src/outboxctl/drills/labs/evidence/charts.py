"""The charts of a lab's record: lines and areas over time, the faults' windows, the marks of both axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from markupsafe import Markup

from outboxctl.drills.labs.messages import in_language
from outboxctl.drills.labs.model import LabSample, Record, Window
from outboxctl.operations.report import svg
from outboxctl.operations.report.svg import Mark, Point, nice, points

MOST_POINTS = 160
TITLES = {
    "status": "Events by status",
    "lag": "Lag, events",
    "age": "Oldest event, s",
    "sum": "Attempts in all",
}
STACKED = ("done", "failed", "processing", "pending")  # from the bottom


@dataclass(frozen=True)
class Shade:
    """A fault's window: left edge and width in percent, and a label that has room above it."""

    left: float
    width: float
    label: str


@dataclass(frozen=True)
class LabChart:
    """One chart; `peak` is its highest value, `svg` its picture without any text."""

    name: str
    title: str
    peak: str
    svg: Markup
    xs: list[Mark]
    ys: list[Mark]


def shades(record: Record) -> list[Shade]:
    """The windows of all faults on the axis of time."""
    end, many = _end(record), len(record.windows) > 1
    windows = enumerate(record.windows, 1)
    return [_shade(window, end, str(n) if many else window.fault) for n, window in windows]


def charts(record: Record) -> list[LabChart]:
    """Status over time first, then lag, age and attempts; none without samples."""
    samples = record.samples[:: ceil(len(record.samples) / MOST_POINTS) or 1]
    if len(samples) < 2:  # noqa: PLR2004 - a line has two ends
        return []
    end = _end(record)
    singles: dict[str, Sequence[Point]] = {
        "lag": [(each.at, each.look.lag) for each in samples],
        "age": [(each.at, each.look.oldest_age) for each in samples],
        "sum": [(each.at, each.look.attempts) for each in samples],
    }
    return [_status(samples, end), *(_single(name, line, end) for name, line in singles.items())]


def _status(samples: Sequence[LabSample], end: float) -> LabChart:
    top = nice(max(each.look.total for each in samples) or 1)
    below = [0.0] * len(samples)
    areas = []
    for name in STACKED:
        above = [low + getattr(each.look, name) for low, each in zip(below, samples, strict=True)]
        upper = [(each.at, value) for each, value in zip(samples, above, strict=True)]
        lower = [(each.at, value) for each, value in zip(samples, below, strict=True)]
        areas.append(svg.element("polygon", class_=name, points=points([*upper, *reversed(lower)], end, top)))
        below = above
    return _chart("status", "", areas, end, top)


def _single(name: str, line: Sequence[Point], end: float) -> LabChart:
    peak = max((value for _, value in line), default=0.0)
    top = nice(peak or 1)
    base = [(line[-1][0], 0.0), (line[0][0], 0.0)] if line else []
    area = svg.element("polygon", class_=name, points=points([*line, *base], end, top))
    upper = svg.element("polyline", class_=name, points=points(line, end, top))
    return _chart(name, _number(peak), [area, upper], end, top)


def _chart(name: str, peak: str, shapes: Sequence[str], end: float, top: float) -> LabChart:
    title, ys = TITLES[name], [Mark(percent, _number(top * percent / 100)) for percent in (0, 50, 100)]
    return LabChart(
        name, title, peak, svg.chart(f"{title} {in_language(title, 'zh')}", ys, *shapes), _xs(end), ys
    )


def _xs(end: float) -> list[Mark]:
    step = nice(end / 6)
    return [Mark(round(n * step / end * 100, 2), f"{n * step:g}") for n in range(ceil(end / step))]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004


def _shade(window: Window, end: float, label: str) -> Shade:
    ended = end if window.ended is None else window.ended
    left = window.began / end * 100
    return Shade(round(left, 2), round(max((ended - window.began) / end * 100, 0.4), 2), label)


def _end(record: Record) -> float:
    seconds = [sample.at for sample in record.samples] + [window.ended or 0 for window in record.windows]
    return max([record.seconds, *seconds]) or 1.0
