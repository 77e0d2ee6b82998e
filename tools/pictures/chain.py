"""Chains: boxes from left to right, each with lines below it, a row for each chain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from tools.pictures.draw import LINE, MARGIN, WIDE, Place, arrow, box, picture, text

HIGH = 46  # of a box
GAP = 26  # between two boxes: room for an arrow


@dataclass(frozen=True)
class Link:
    """A box of a chain: its lines, and those below it."""

    kind: str
    lines: Sequence[str]
    below: Sequence[str] = ()


@dataclass(frozen=True)
class Chain:
    """Boxes that hand something on, below a caption."""

    caption: str
    links: Sequence[Link]


def chains(title: str, rows: Sequence[Chain]) -> Markup:
    """The picture. Raises ValueError where a text has no room."""
    y, shapes = float(MARGIN), list[Markup]()
    for row in rows:
        if row.caption:
            shapes.append(text(row.caption, MARGIN, y + 14, "", anchor="start", room=WIDE - 2 * MARGIN))
            y += 26
        shapes += _row(row.links, y)
        y += HIGH + LINE * max(len(link.below) for link in row.links) + 20
    return picture(title, y, shapes)


def _row(links: Sequence[Link], y: float) -> Iterator[Markup]:
    wide = (WIDE - 2 * MARGIN - GAP * (len(links) - 1)) / len(links)
    for at, link in enumerate(links):
        place = Place(MARGIN + at * (wide + GAP), y, wide, HIGH)
        yield box(link.kind, place, *link.lines)
        if at:
            yield arrow((place.x - GAP + 3, y + HIGH / 2), (place.x - 2, y + HIGH / 2))
        for under, words in enumerate(link.below, 1):
            yield text(words, place.middle, y + HIGH + under * LINE, "soft", room=wide + GAP)
