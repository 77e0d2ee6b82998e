"""An outage of the sink over time, under both policies."""

from collections.abc import Iterator, Sequence

from markupsafe import Markup
from tools.pictures.draw import MARGIN, WIDE, picture, text

from outboxctl.operations.report.svg import element

START, END = 170, 450  # of the outage, in pixels
HIGH = 214
ATTEMPTS = (176, 184, 196, 214, 244, 284, 324, 364, 404)
PROBES = (180, 190, 205, 225, 250, 275, 300, 325, 350, 375, 400, 425)


def pictures() -> dict[str, Markup]:
    """Name and SVG."""
    title = "An outage of the sink under count, where attempts are spent, and under hold, where none is"
    return {"outage-policies": picture(title, HIGH, list(_shapes()))}


def _shapes() -> Iterator[Markup]:
    yield element("rect", x=START, y=34, width=END - START, height=HIGH - 50, class_="band")
    yield text("the sink is unreachable", (START + END) / 2, 26, "soft")
    yield from _row("count", 74, "worker", ATTEMPTS)
    yield text("each try is an attempt; after the last: failed", WIDE / 2, 110, "bad")
    yield from _row("hold", 150, "postgres", PROBES)
    yield text("the circuit is open: a few events are tried, no attempt is spent", WIDE / 2, 186, "good")


def _row(name: str, y: float, kind: str, tries: Sequence[int]) -> Iterator[Markup]:
    """A line of time: deliveries, a mark for each try in the outage, deliveries."""
    yield text(name, MARGIN, y + 5, "", anchor="start")
    yield element("rect", x=70, y=y - 8, width=START - 70, height=16, rx=3, class_=kind)
    for at in tries:
        yield element("rect", x=at, y=y - 8, width=3, height=16, class_=kind)
    yield element("rect", x=END, y=y - 8, width=WIDE - MARGIN - END, height=16, rx=3, class_=kind)
