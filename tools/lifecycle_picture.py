"""The states of an event and the transitions between them, as an SVG drawn from `lifecycle.TRANSITIONS`."""

from itertools import groupby
from math import hypot

from tools.arrows import arrowhead

from outboxctl.domain.lifecycle import TRANSITIONS, Status, Transition
from outboxctl.operations.report.svg import Point, document, element

CENTRES = {
    Status.PENDING: (100, 110),
    Status.PROCESSING: (420, 110),
    Status.DONE: (740, 110),
    Status.FAILED: (420, 310),
}
WIDE, HIGH = 130, 44  # a state's box
APART = 9  # how far an arrow keeps from the straight line, where another one leads back
# Both colours can be read on a light and on a dark page.
GREY, BLUE = "#808693", "#3f51b5"


def picture() -> str:
    """The SVG's text."""
    arrows = groupby(sorted(TRANSITIONS, key=_states), key=_states)
    drawn = [_arrow(*states, ", ".join(each.verb for each in group)) for states, group in arrows]
    boxes = [_box(state, x, y) for state, (x, y) in CENTRES.items()]
    title = "The states of an event and the transitions between them"
    return (
        document(820, 360, title, arrowhead(GREY), *drawn, *boxes, font_family="sans-serif", font_size=15)
        + "\n"
    )


def _box(state: Status, x: float, y: float) -> str:
    corner = {"x": x - WIDE / 2, "y": y - HIGH / 2}
    box = element("rect", **corner, width=WIDE, height=HIGH, rx=8, fill=BLUE)
    return box + element("text", state, x=x, y=y + 5, text_anchor="middle", fill="#fff")


def _states(transition: Transition) -> tuple[Status, Status]:
    return transition.source, transition.target


def _arrow(source: Status, target: Status, verbs: str) -> str:
    x, y = CENTRES[source]
    if source is target:
        top = y - HIGH / 2
        loop = f"M{x - 25} {top}C{x - 35} {top - 45} {x + 35} {top - 45} {x + 25} {top - 1}"
        return _path(loop) + _text(x, top - 40, "middle", verbs)
    if _crossed(source, target):
        ends = [x, CENTRES[target][0]]
        top = y - HIGH / 2
        over = f"M{ends[0]} {top}C{ends[0] + 100} {top - 108} {ends[1] - 100} {top - 108} {ends[1]} {top - 1}"
        return _path(over) + _text(sum(ends) / 2, top - 63, "middle", verbs)
    back = any(_states(each) == (target, source) for each in TRANSITIONS)
    (ax, ay), (bx, by) = _between((x, y), CENTRES[target], APART if back else 0)
    return _path(f"M{ax:.0f} {ay:.0f}L{bx:.0f} {by:.0f}") + _label((ax, ay), (bx, by), verbs)


def _crossed(source: Status, target: Status) -> bool:
    """Whether the box of a third state is between these two, which are beside each other."""
    (ax, ay), (bx, by) = CENTRES[source], CENTRES[target]
    return any(ay == by == y and min(ax, bx) < x < max(ax, bx) for x, y in CENTRES.values())


def _path(d: str) -> str:
    return element("path", d=d, fill="none", stroke=GREY, stroke_width=1.5, marker_end="url(#end)")


def _text(x: float, y: float, anchor: str, verbs: str) -> str:
    return element("text", verbs, x=round(x), y=round(y), text_anchor=anchor, fill=GREY)


def _between(a: Point, b: Point, apart: float) -> tuple[Point, Point]:
    """From the edge of one box to that of the other, `apart` to the left of the straight line."""
    far = hypot(b[0] - a[0], b[1] - a[1])
    dx, dy = (b[0] - a[0]) / far, (b[1] - a[1]) / far
    reach = min(WIDE / 2 / abs(dx) if dx else far, HIGH / 2 / abs(dy) if dy else far) + 3
    shift = (dy * apart, -dx * apart)
    return (
        (a[0] + dx * reach + shift[0], a[1] + dy * reach + shift[1]),
        (b[0] - dx * reach + shift[0], b[1] - dy * reach + shift[1]),
    )


def _label(a: Point, b: Point, verbs: str) -> str:
    """Above the arrow, or below one that leads back; left of one that leads up.

    The label of a slanting arrow is where the arrow leads away from it.
    """
    x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
    if abs(b[1] - a[1]) < 1:
        return _text(x, y - 8 if b[0] > a[0] else y + 19, "middle", verbs)
    after, slope = b[1] > a[1], (b[1] - a[1]) * (b[0] - a[0])
    lift = 9 if (slope > 0) == after else -9
    anchor = "start" if after else "end"
    return _text(x + 10 if after else x - 10, y + 5 - lift * bool(slope), anchor, verbs)
