"""A recording as an SVG that plays by itself: each row is shown from the look at which it was there first.

There is no script in it: rows appear and vanish, and the page scrolls, by CSS animations without any
movement between two looks. Who asks for reduced motion sees the last picture, as does a program that
knows no animations.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from markupsafe import Markup
from tools.readme_pictures.names import LONGEST
from tools.readme_pictures.recorded import Write
from tools.readme_pictures.screen import Frame, Run, frames
from tools.readme_pictures.themes import Theme
from tools.readme_pictures.window import CELL, LINE, drawn, window

HOLD = 8.0  # seconds of LONGEST that the last picture is shown before the recording begins again
TALLEST = 400  # lines that a recording may have in all
STYLE = """
.part, .page {{ animation: {seconds:.1f}s step-end infinite; }}
.gone {{ visibility: hidden; }}
.page {{ transform: translateY(-{bottom:.0f}px); animation-name: scroll; }}
@media (prefers-reduced-motion: reduce) {{ .part, .page {{ animation: none; }} }}
"""


class Shown(NamedTuple):
    """From when to when something is on the screen; no end if it is there at the end."""

    start: float
    end: float | None


def film(title: str, writes: Sequence[Write], columns: int, lines: int, theme: Theme) -> str:
    """The recording in a window of so many lines; what a command wrote scrolls up in it."""
    title, looks = _hurried(title, list(frames(writes, columns, TALLEST)))
    seconds = looks[-1].at + HOLD
    parts, rules = [], []
    for number, (shown, rows) in enumerate(_parts(looks).items()):
        content = (part for row, runs in rows for part in drawn(row, runs, theme))
        classes = "part" if shown.end is None else "part gone"
        parts.append(_group(content, classes, f"animation-name:r{number}"))
        rules.append(f"@keyframes r{number}{{{_keyframes(shown, seconds)}}}")
    rules.append(f"@keyframes scroll{{{_scroll(looks, lines, seconds)}}}")
    bottom = _top(looks[-1], lines) * LINE
    style = STYLE.format(seconds=seconds, bottom=bottom) + "\n".join(rules)
    page = _group(parts, "page")
    return window(title, [page], (columns * CELL, lines * LINE), theme, style)


def _hurried(title: str, looks: Sequence[Frame]) -> tuple[str, list[Frame]]:
    """The looks so close together that they end in time; the title says how much faster that is."""
    pace = max(1.0, looks[-1].at / (LONGEST - HOLD))
    note = f" ({pace:.1f} times as fast)" if pace >= 1.05 else ""  # noqa: PLR2004 - it is 1.0 when rounded
    return title + note, [look._replace(at=look.at / pace) for look in looks]


def _parts(looks: Sequence[Frame]) -> dict[Shown, list[tuple[int, tuple[Run, ...]]]]:
    """The rows by when they are shown: what appears and vanishes together is one part."""
    parts = defaultdict(list)
    for row in range(max(len(look.rows) for look in looks)):
        for shown, runs in _history(looks, row):
            parts[shown].append((row, runs))
    return dict(sorted(parts.items(), key=lambda part: part[0].start))


def _history(looks: Sequence[Frame], row: int) -> Iterator[tuple[Shown, tuple[Run, ...]]]:
    """What one row said, and when; a row without text is left out."""
    texts = [(look.at, look.rows[row] if row < len(look.rows) else ()) for look in looks]
    spans = [(runs, next(group)[0]) for runs, group in groupby(texts, lambda text: text[1])]
    ends = [start for _, start in spans[1:]] + [None]
    for (runs, start), end in zip(spans, ends, strict=True):
        if runs:
            yield Shown(start, end), runs


def _keyframes(shown: Shown, seconds: float) -> str:
    """Hidden before its start, visible, and hidden from its end on; the last one holds until the next."""
    frames = "" if not shown.start else "0%{visibility:hidden}"
    frames += f"{_percent(shown.start, seconds)}{{visibility:visible}}"
    return frames + (f"{_percent(shown.end, seconds)}{{visibility:hidden}}" if shown.end is not None else "")


def _scroll(looks: Sequence[Frame], lines: int, seconds: float) -> str:
    tops = groupby(looks, lambda look: _top(look, lines))
    moments = [(next(group).at, top) for top, group in tops]
    return "".join(f"{_percent(at, seconds)}{{transform:translateY(-{top * LINE}px)}}" for at, top in moments)


def _top(look: Frame, lines: int) -> int:
    """The first row on the screen."""
    return max(0, max(look.cursor + 1, len(look.rows)) - lines)


def _percent(at: float, seconds: float) -> str:
    return f"{at / seconds * 100:.2f}%"


def _group(content: Sequence[str] | Iterator[str], classes: str, style: str = "") -> Markup:
    head = Markup('<g class="{}"{}>').format(classes, Markup(' style="{}"').format(style) if style else "")
    return head + Markup("").join(content) + Markup("</g>")
