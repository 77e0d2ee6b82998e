"""Shapes of a picture that is read on a phone: 560 wide, text of 15 and 13, colours for light and dark pages.

A text that has no room raises ValueError, so that no picture is written in which one is cut off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from tools.arrows import arrowhead

from outboxctl.drills.bench.figure import STYLE
from outboxctl.operations.report.svg import Point, document, element

WIDE, MARGIN = 560, 12
LINE = 18  # from one line of text to the next
SIZES = {"": 15, "soft": 13, "on": 15, "bad": 13, "good": 13}
CHARACTER = 0.56  # width of an average one, in sizes of the font
COLOURS = Markup("""
  svg { --bad: #b42318; --good: #1a7f4b; }
  @media (prefers-color-scheme: dark) { svg { --bad: #ff8a80; --good: #5dd39e; } }
  text { font-size: 15px; } text.soft, text.bad, text.good { font-size: 13px; } text.on { font-size: 15px; }
  text.bad { fill: var(--bad); } text.good { fill: var(--good); }
  .plain { fill: none; stroke: var(--soft); stroke-width: 1.5; }
  .life { stroke: var(--line); stroke-width: 2; }
  .arrow { fill: none; stroke: var(--soft); stroke-width: 1.5; }
  .late { stroke-dasharray: 5 4; }
  .band { fill: var(--line); opacity: .45; }
""")
TIP = arrowhead("var(--soft)")


@dataclass(frozen=True)
class Place:
    """A rectangle in pixels, by its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The x of its middle."""
        return self.x + self.width / 2


def picture(title: str, height: float, shapes: Sequence[str]) -> Markup:
    """The SVG; its title is what a screen reader reads."""
    page = element("rect", width=WIDE, height=height, rx=8, fill="var(--page)")
    style = element("style", STYLE, COLOURS)
    size: dict[str, str | float] = {"width": WIDE, "height": height, "role": "img", "aria_label": title}
    return document(WIDE, height, title, style, TIP, page, *shapes, **size)


def box(kind: str, place: Place, *lines: str) -> Markup:
    """A box of a kind (`worker`, `postgres`, `engine`, `plain`) with its lines in the middle."""
    corner = {"x": place.x, "y": place.y, "width": place.width, "height": place.height}
    first = place.y + place.height / 2 - (len(lines) - 1) * LINE / 2 + 5
    inside = "" if kind == "plain" else "on"
    written = [
        text(line, place.middle, first + at * LINE, inside, room=place.width - 4)
        for at, line in enumerate(lines)
    ]
    return Markup("").join([element("rect", **corner, rx=6, class_=kind), *written])


def text(
    words: str, x: float, y: float, kind: str = "", *, room: float = WIDE, anchor: str = "middle"
) -> Markup:
    """One line of text in `room` pixels. Raises ValueError where it is likely to be wider."""
    if width(words, kind) > room:
        raise ValueError(f"no room in a picture for: {words}")
    return element("text", words, x=x, y=y, class_=kind, text_anchor=anchor)


def width(words: str, kind: str) -> float:
    """About how wide a line of text is."""
    return len(words) * SIZES[kind] * CHARACTER


def arrow(start: Point, end: Point, kind: str = "") -> Markup:
    """A straight arrow; a `late` one is dashed."""
    path = "M{:.0f} {:.0f}L{:.0f} {:.0f}".format(*start, *end)
    return element("path", d=path, class_=f"arrow {kind}".strip(), marker_end="url(#end)")
