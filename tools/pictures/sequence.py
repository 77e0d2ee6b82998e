"""A sequence: who says what to whom, from above to below, and what becomes of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from tools.pictures.draw import MARGIN, WIDE, Place, arrow, box, picture, text, width

from outboxctl.operations.report.svg import element

HEAD = 40  # height of an actor's box
STEP = 38  # from one message to the next
REMARK = 26  # height of a remark


@dataclass(frozen=True)
class Actor:
    """Who sends and receives, in the colours of a kind of box."""

    name: str
    kind: str = "plain"


@dataclass(frozen=True)
class Message:
    """An arrow between two actors, by their numbers; a `late` one is under way for long."""

    sender: int
    receiver: int
    words: str
    late: bool = False


@dataclass(frozen=True)
class Remark:
    """A line below an arrow, across all actors: `soft`, `bad` or `good`."""

    words: str
    kind: str = "soft"


Step = Message | Remark


def sequence(title: str, actors: Sequence[Actor], steps: Sequence[Step]) -> Markup:
    """The picture. Raises ValueError where a text has no room."""
    apart = (WIDE - 2 * MARGIN) / len(actors)
    centres = [MARGIN + apart * (at + 0.5) for at in range(len(actors))]
    body, bottom = _body(centres, steps)
    heads = [
        box(actor.kind, Place(x - apart / 2 + 6, MARGIN, apart - 12, HEAD), actor.name)
        for actor, x in zip(actors, centres, strict=True)
    ]
    lives = [element("line", x1=x, x2=x, y1=MARGIN + HEAD, y2=bottom, class_="life") for x in centres]
    return picture(title, bottom + MARGIN, [*lives, *heads, *body])


def _body(centres: Sequence[float], steps: Sequence[Step]) -> tuple[list[Markup], float]:
    """The shapes of the steps, and where they end."""
    y, shapes = MARGIN + HEAD + 6.0, list[Markup]()
    for step in steps:
        y += STEP if isinstance(step, Message) else REMARK
        shapes += _message(step, centres, y) if isinstance(step, Message) else _remark(step, y)
    return shapes, y + 14


def _message(message: Message, centres: Sequence[float], y: float) -> Iterator[Markup]:
    start, end = centres[message.sender], centres[message.receiver]
    back = 3 if end > start else -3
    yield _words(message.words, (start + end) / 2, y - 7, "soft", max(abs(end - start), 120) + 60)
    yield arrow((start, y), (end - back, y), "late" if message.late else "")


def _remark(remark: Remark, y: float) -> Iterator[Markup]:
    yield _words(remark.words, WIDE / 2, y, remark.kind, WIDE - 2 * MARGIN)


def _words(words: str, x: float, y: float, kind: str, room: float) -> Markup:
    """A line of text that hides the lines behind it."""
    wide = width(words, kind)
    behind = element("rect", x=x - wide / 2, y=y - 13, width=wide, height=18, fill="var(--page)")
    return Markup("").join([behind, text(words, x, y, kind, room=room)])
