"""SVG as text: elements, and charts in a field of 1000 by 100 that the page stretches.

A chart's text is not in the SVG: the page lays it over as HTML, so that it keeps its size on any screen.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, log10

from markupsafe import Markup

WIDTH, HEIGHT = 1000, 100
STEPS = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
Point = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """A label at so many percent of an axis."""

    percent: float
    text: str


def element(name: str, *content: str, **attributes: str | float) -> Markup:
    """One element; text in it that is no Markup is escaped, as are the attributes.

    In an attribute's name `_` stands for `-`, and one at the end is dropped (`class_`). A float is
    written with at most one decimal.
    """
    pairs = ((key.rstrip("_").replace("_", "-"), _number(value)) for key, value in attributes.items())
    written = Markup("").join(Markup(' {}="{}"').format(*pair) for pair in pairs)
    if not content:
        return Markup("<{}{}/>").format(name, written)
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, Markup("").join(content))


def chart(label: str, ys: Iterable[Mark], *shapes: str) -> Markup:
    """A field of WIDTH by HEIGHT with a grid line at each mark, below the shapes."""
    grid = (
        element("line", class_="grid", x1=0, x2=WIDTH, y1=HEIGHT - mark.percent, y2=HEIGHT - mark.percent)
        for mark in ys
    )
    return element(
        "svg",
        "\n",
        *_lines((*grid, *shapes)),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def points(line: Iterable[Point], right: float, top: float) -> str:
    """The `points` of a line in the field, whose right edge is at x = `right` and whose top at y = `top`."""
    scaled = ((x / right * WIDTH, HEIGHT - y / top * HEIGHT) for x, y in line)
    return " ".join(f"{x:.0f},{y:.1f}" for x, y in scaled)


def nice(value: float) -> float:
    """The next round number at or above `value`, which is above 0."""
    power = 10.0 ** floor(log10(value))
    return next((step * power for step in STEPS if step * power >= value), 10 * power)


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def _lines(content: Iterable[str]) -> Iterable[str]:
    for each in content:
        yield from (each, "\n")
