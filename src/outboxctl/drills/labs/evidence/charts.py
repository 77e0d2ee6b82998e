"""What the page's charts draw: shapes in a field of 1000 by 100, stretched to whatever room there is.

Lines and areas are SVG; all text is laid over them as HTML, so that it keeps its size on any screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from outboxctl.drills.labs.evidence.figures import rates
from outboxctl.drills.labs.evidence.words import PAGE
from outboxctl.drills.labs.model import BilingualText, LabSample, Record, Window

WIDTH, HEIGHT = 1000, 100
MOST_POINTS = 160
STACKED = ("done", "failed", "processing", "pending")  # from the bottom
STEPS = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
Point = tuple[float, float]


@dataclass(frozen=True)
class ChartShape:
    """A line or an area: its CSS class and its points."""

    name: str
    points: str


@dataclass(frozen=True)
class Mark:
    """A label at so many percent of an axis."""

    percent: float
    text: str


@dataclass(frozen=True)
class Shade:
    """A fault's window: left edge and width in percent, and a label that has room above it."""

    left: float
    width: float
    label: str


@dataclass(frozen=True)
class LabChart:
    """One chart; `peak` is its highest value, in words."""

    name: str
    title: BilingualText
    peak: str
    areas: list[ChartShape]
    lines: list[ChartShape]
    xs: list[Mark]
    ys: list[Mark]


def shades(record: Record) -> list[Shade]:
    """The windows of all faults on the axis of time."""
    end, many = _end(record), len(record.windows) > 1
    return [
        _shade(window, end, str(n) if many else window.fault) for n, window in enumerate(record.windows, 1)
    ]


def charts(record: Record) -> list[LabChart]:
    """Status over time first, then lag, age, attempts and pace; none without samples."""
    samples = _thinned(record.samples)
    if len(samples) < 2:  # noqa: PLR2004 - a line has two ends
        return []
    end = _end(record)
    singles: dict[str, Sequence[Point]] = {
        "lag": [(each.at, each.look.lag) for each in samples],
        "age": [(each.at, each.look.oldest_age) for each in samples],
        "sum": [(each.at, each.look.attempts) for each in samples],
        "pace": rates(samples),
    }
    return [_status(samples, end), *(_single(name, points, end) for name, points in singles.items())]


def _status(samples: Sequence[LabSample], end: float) -> LabChart:
    top = nice(max(each.look.total for each in samples) or 1)
    below = [0.0] * len(samples)
    areas = []
    for name in STACKED:
        above = [low + getattr(each.look, name) for low, each in zip(below, samples, strict=True)]
        upper = [(each.at, value) for each, value in zip(samples, above, strict=True)]
        lower = [(each.at, value) for each, value in zip(samples, below, strict=True)]
        areas.append(ChartShape(name, _points([*upper, *reversed(lower)], end, top)))
        below = above
    return LabChart("status", PAGE["status"], "", areas, [], _xs(end), _ys(top))


def _single(name: str, points: Sequence[Point], end: float) -> LabChart:
    peak = max((value for _, value in points), default=0.0)
    top = nice(peak or 1)
    floor_ = [(points[-1][0], 0.0), (points[0][0], 0.0)] if points else []
    area, line = (
        ChartShape(name, _points([*points, *floor_], end, top)),
        ChartShape(name, _points(points, end, top)),
    )
    return LabChart(name, PAGE[name], _number(peak), [area], [line], _xs(end), _ys(top))


def nice(value: float) -> float:
    """The next round number at or above `value`, which is above 0."""
    power = 10.0 ** floor(log10(value))
    return next((step * power for step in STEPS if step * power >= value), 10 * power)


def _points(points: Sequence[Point], end: float, top: float) -> str:
    scaled = ((x / end * WIDTH, HEIGHT - y / top * HEIGHT) for x, y in points)
    return " ".join(f"{x:.0f},{y:.1f}" for x, y in scaled)


def _xs(end: float) -> list[Mark]:
    step = nice(end / 6)
    return [Mark(round(n * step / end * 100, 2), f"{n * step:g}") for n in range(ceil(end / step))]


def _ys(top: float) -> list[Mark]:
    return [Mark(percent, _number(top * percent / 100)) for percent in (0, 50, 100)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004


def _shade(window: Window, end: float, label: str) -> Shade:
    ended = end if window.ended is None else window.ended
    left = window.began / end * 100
    return Shade(round(left, 2), round(max((ended - window.began) / end * 100, 0.4), 2), label)


def _end(record: Record) -> float:
    seconds = [sample.at for sample in record.samples] + [window.ended or 0 for window in record.windows]
    return max([record.seconds, *seconds]) or 1.0


def _thinned(samples: Sequence[LabSample]) -> Sequence[LabSample]:
    return samples[:: ceil(len(samples) / MOST_POINTS) or 1]
