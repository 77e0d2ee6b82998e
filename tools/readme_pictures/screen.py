"""What a terminal shows after each of a command's writes: rows of text with their styles."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pyte
from tools.readme_pictures.recorded import Write

STEP = 0.4  # seconds between two looks at the screen: a recording shows no change that lasted less
GAP = 2  # columns of blank that end a run: the next one is placed by its own column


class Style(NamedTuple):
    """How a run is drawn; `colour` is pyte's name of it."""

    colour: str = "default"
    bold: bool = False
    reverse: bool = False
    underlined: bool = False


class Run(NamedTuple):
    """Text of one style in a row, and the column that it begins in."""

    column: int
    text: str
    style: Style


class Frame(NamedTuple):
    """The screen at a moment: its rows from the first to the last with text, and where the cursor is."""

    at: float
    rows: tuple[tuple[Run, ...], ...]
    cursor: int


def frames(writes: Sequence[Write], columns: int, lines: int) -> Iterator[Frame]:
    """The screen each STEP seconds in which something was written, and at the end."""
    screen = pyte.Screen(columns, lines)
    stream = pyte.ByteStream(screen)
    for tick, group in groupby(writes, lambda write: int(write.at / STEP)):
        for write in group:
            stream.feed(write.text)
        yield Frame(tick * STEP, _rows(screen), screen.cursor.y)


def _rows(screen: Any) -> tuple[tuple[Run, ...], ...]:
    rows = [tuple(_runs(screen.buffer[y], screen.columns)) for y in range(screen.lines)]
    while rows and not rows[-1]:
        rows.pop()
    return tuple(rows)


def _runs(cells: Any, columns: int) -> Iterator[Run]:
    """The runs of a row; blank that is neither reversed nor underlined is left out."""
    styled = [(column, cells[column].data, _style(cells[column])) for column in range(columns)]
    for style, group in groupby(styled, lambda cell: cell[2]):
        part = list(group)
        text = "".join(cell[1] for cell in part)
        if style.reverse or style.underlined:
            yield Run(part[0][0], text, style)
        else:
            yield from _words(part[0][0], text, style)


def _words(column: int, text: str, style: Style) -> Iterator[Run]:
    """The pieces of a run between gaps of GAP blanks or more."""
    at = 0
    for piece in text.split(" " * GAP):
        word = piece.strip()
        if word:
            yield Run(column + at + len(piece) - len(piece.lstrip()), word, style)
        at += len(piece) + GAP


def _style(cell: Any) -> Style:
    return Style(cell.fg, cell.bold, cell.reverse, cell.underscore)
