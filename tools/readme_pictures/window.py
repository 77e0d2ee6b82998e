"""A terminal's window as an SVG: the frame around it, rows of text in it, and the styles of both.

A run of text says how wide it is, so that columns line up whatever font a page has.
"""

from collections.abc import Iterable, Iterator, Sequence

from markupsafe import Markup
from tools.readme_pictures.screen import Frame, Run, Style
from tools.readme_pictures.themes import MONOSPACE, Theme

from outboxctl.operations.report.svg import document, element

CELL, LINE, FONT = 8.4, 19, 14  # pixels: a character's width, a line's height, the font's size
BAR, PAD = 34, 14  # the bar above the text, and the space around it
BASE = 14  # from a line's top to its baseline
STYLE = """
text {{ font: {font}px {family}; fill: {ink}; white-space: pre; }}
.bold {{ font-weight: 700; }} .underlined {{ text-decoration: underline; }} .title {{ fill: {soft}; }}
.paper {{ fill: {surface}; }}
"""


def picture(title: str, frame: Frame, columns: int, theme: Theme) -> str:
    """A still picture of a terminal."""
    high = len(frame.rows) * LINE
    rows = [part for row, runs in enumerate(frame.rows) for part in drawn(row, runs, theme)]
    return window(title, rows, (columns * CELL, high), theme)


def window(
    title: str, content: Iterable[str], size: tuple[float, float], theme: Theme, style: str = ""
) -> str:
    """The window around content of this width and height in pixels; `style` is added to its own."""
    (wide, high), (width, height) = size, (size[0] + 2 * PAD, BAR + size[1] + PAD)
    css = STYLE.format(font=FONT, family=MONOSPACE, ink=theme.ink, soft=theme.soft, surface=theme.surface)
    view = f"0 0 {wide:.1f} {high:.1f}"
    lines = (Markup("{}\n").format(part) for part in content)
    inner = element("svg", "\n", *lines, x=PAD, y=BAR, width=wide, height=high, viewBox=view)
    parts = [element("style", Markup(css + style)), *_frame(title, width, height, theme), inner]
    return document(width, height, title, *parts, role="img", width=width, height=height) + "\n"


def _frame(title: str, width: float, height: float, theme: Theme) -> Iterator[str]:
    """The window's edge and ground, three dots, and the title in the bar."""
    edge = {"x": 0.5, "y": 0.5, "width": width - 1, "height": height - 1}
    yield element("rect", **edge, rx=9, fill=theme.surface, stroke=theme.line)
    for n in range(3):
        yield element("circle", cx=18 + 18 * n, cy=BAR / 2, r=5.5, fill=theme.line)
    yield element("text", title, class_="title", x=width / 2, y=BAR / 2 + 5, text_anchor="middle")


def drawn(row: int, runs: Sequence[Run], theme: Theme) -> list[str]:
    """A row's text, and the ground below runs that are reversed."""
    return [part for run in runs for part in _run(row, run, theme)]


def _run(row: int, run: Run, theme: Theme) -> Iterator[str]:
    x, y, width = run.column * CELL, row * LINE, len(run.text) * CELL
    if run.style.reverse:
        yield element("rect", x=x, y=y, width=width, height=LINE, fill=_ground(run.style, theme))
    if run.text.strip() or run.style.underlined:
        look = _look(run.style, theme)
        if len(run.text) > 1:
            look |= {"textLength": f"{width:.1f}", "lengthAdjust": "spacingAndGlyphs"}
        yield element("text", run.text, x=x, y=y + BASE, **look)


def _look(style: Style, theme: Theme) -> dict[str, str]:
    """A run's classes, and its colour where that is not the window's own."""
    names = [name for name in ("bold", "underlined") if getattr(style, name)]
    if style.reverse:
        names.append("paper")
    look = {"class_": " ".join(names)} if names else {}
    if style.colour != "default" and not style.reverse:
        look["style"] = f"fill:{theme.colour(style.colour)}"
    return look


def _ground(style: Style, theme: Theme) -> str:
    return theme.ink if style.colour == "default" else theme.colour(style.colour)
