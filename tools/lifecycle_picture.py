"""The states of an event and the ways between them, as an SVG drawn from `lifecycle.TRANSITIONS`."""

from itertools import groupby
from math import hypot

from outboxctl.domain.lifecycle import TRANSITIONS, Status, Transition

CENTRES = {
    Status.PENDING: (100, 110),
    Status.PROCESSING: (420, 110),
    Status.DONE: (740, 110),
    Status.FAILED: (420, 310),
}
WIDE, HIGH, APART = 130, 44, 9  # a state's box; how far a way there keeps from the middle, and one back
# Both greys can be read on a light and on a dark page: a picture does not know on which it is.
HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 360" font-family="sans-serif" font-size="15">
<title>The states of an event and the ways between them</title>
<marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0L8 4L0 8z" fill="#808693"/></marker>"""
BOX = (
    '<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8" fill="#3f51b5"/>'
    '<text x="{cx}" y="{ty}" text-anchor="middle" fill="#fff">{name}</text>'
)
WAY = '<path d="{d}" fill="none" stroke="#808693" stroke-width="1.5" marker-end="url(#end)"/>'
SAID = '<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="#808693">{said}</text>'
Point = tuple[float, float]


def picture() -> str:
    """The SVG's text."""
    ways = groupby(sorted(TRANSITIONS, key=_ends), key=_ends)
    drawn = [_way(*ends, ", ".join(each.verb for each in group)) for ends, group in ways]
    boxes = [
        BOX.format(x=x - WIDE / 2, y=y - HIGH / 2, w=WIDE, h=HIGH, cx=x, ty=y + 5, name=state)
        for state, (x, y) in CENTRES.items()
    ]
    return "\n".join([HEAD, *drawn, *boxes, "</svg>"]) + "\n"


def _ends(transition: Transition) -> tuple[Status, Status]:
    return transition.source, transition.target


def _way(source: Status, target: Status, said: str) -> str:
    x, y = CENTRES[source]
    if source is target:
        top = y - HIGH / 2
        loop = f"M{x - 25} {top}C{x - 35} {top - 45} {x + 35} {top - 45} {x + 25} {top - 1}"
        return WAY.format(d=loop) + SAID.format(x=x, y=top - 40, anchor="middle", said=said)
    back = any(_ends(each) == (target, source) for each in TRANSITIONS)
    (ax, ay), (bx, by) = _between((x, y), CENTRES[target], APART if back else 0)
    line = f"M{ax:.0f} {ay:.0f}L{bx:.0f} {by:.0f}"
    return WAY.format(d=line) + _label((ax, ay), (bx, by), said)


def _between(a: Point, b: Point, apart: float) -> tuple[Point, Point]:
    """From the edge of one box to that of the other, `apart` to the left of the straight way."""
    far = hypot(b[0] - a[0], b[1] - a[1])
    dx, dy = (b[0] - a[0]) / far, (b[1] - a[1]) / far
    reach = min(WIDE / 2 / abs(dx) if dx else far, HIGH / 2 / abs(dy) if dy else far) + 3
    shift = (dy * apart, -dx * apart)
    return (
        (a[0] + dx * reach + shift[0], a[1] + dy * reach + shift[1]),
        (b[0] - dx * reach + shift[0], b[1] - dy * reach + shift[1]),
    )


def _label(a: Point, b: Point, said: str) -> str:
    """Beside the way: above it, or below one that leads back; left of one that leads up.

    Beside a slanting way it stands where the way leads away from it.
    """
    x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
    if abs(b[1] - a[1]) < 1:
        return SAID.format(x=x, y=y - 8 if b[0] > a[0] else y + 19, anchor="middle", said=said)
    after, slope = b[1] > a[1], (b[1] - a[1]) * (b[0] - a[0])
    lift = 9 if (slope > 0) == after else -9
    anchor = "start" if after else "end"
    return SAID.format(x=x + 10 if after else x - 10, y=y + 5 - lift * bool(slope), anchor=anchor, said=said)
