"""A figure with its target; figures as a Markdown table, and as one SVG picture for light and dark pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from textwrap import wrap

from markupsafe import Markup

from outboxctl.domain.printable import clean
from outboxctl.operations.report.svg import document, element

COLUMNS = ("figure", "median", "spread", "target", "verdict")
PICTURE_WIDTH = 760
LEFT, WIDTH = 200, 430  # of the field that bars are drawn in
TOP, ROW = 62, 34
LEGEND = 165  # between two names of the legend
NOTE = 18  # height of a line
LINE_LENGTH = 104  # characters of a note
LEAST_SHARE = 0.09  # of all CPU: a narrower part has no room for its number
NAMES = {"worker": "worker", "postgres": "PostgreSQL", "engine": "engine"}
STYLE = Markup("""
  svg { --page: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --on: #ffffff;
    --worker: #7c3aed; --postgres: #1d6fb8; --engine: #b45309; --bound: #8b949e; }
  @media (prefers-color-scheme: dark) {
    svg { --page: #0d1117; --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --on: #0d1117;
      --worker: #b794f6; --postgres: #6cb6ff; --engine: #f0a24a; --bound: #848d97; }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; fill: var(--ink); }
  .head { font-size: 17px; font-weight: 600; }
  .soft { fill: var(--soft); font-size: 12px; }
  .on { fill: var(--on); font-size: 12px; text-anchor: middle; }
  .name { text-anchor: end; }
  .number { font-variant-numeric: tabular-nums; font-weight: 600; }
  .worker { fill: var(--worker); } .postgres { fill: var(--postgres); } .engine { fill: var(--engine); }
  .bound { fill: none; stroke: var(--bound); stroke-width: 1.5; stroke-dasharray: 5 4; }
  .axis { stroke: var(--line); }
  .whisker { stroke: var(--ink); stroke-width: 1.5; }
""")


@dataclass(frozen=True)
class BenchFigure:
    """A value a repetition; the median must be under `target`, or with `at_least` at or above it."""

    name: str
    unit: str
    values: list[float]
    target: float | None = None
    at_least: bool = False
    digits: int = field(default=0, compare=False)

    @property
    def verdict(self) -> str:
        """`met`, `MISSED`, or `not measured` (0 or less: the run was too short); empty without a target."""
        if self.target is None:
            return ""
        middle = median(self.values)
        if middle <= 0:
            return "not measured"
        return "met" if (middle >= self.target if self.at_least else middle < self.target) else "MISSED"

    def cells(self) -> list[str]:
        """Name, median, spread, target and verdict."""
        low, middle, high = (self._show(f(self.values)) for f in (min, median, max))
        sign = "at least" if self.at_least else "under"
        target = "" if self.target is None else f"{sign} {self._show(self.target)}"
        return [self.name, f"{middle} {self.unit}".strip(), f"{low} to {high}", target, self.verdict]

    def _show(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


def table(figures: Sequence[BenchFigure]) -> str:
    """A Markdown table of figures, without the empty columns."""
    columns = zip(COLUMNS, *(figure.cells() for figure in figures), strict=True)
    return markdown_table(list(zip(*(column for column in columns if any(column[1:])), strict=True)))


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; its first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(map(str.ljust, row, widths)) for row in rows]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)


def picture(
    title: str, rates: Mapping[str, BenchFigure], costs: Mapping[str, BenchFigure], notes: Sequence[str] = ()
) -> str:
    """An SVG document of bars with their spread, and of the CPU an event, stacked.

    `rates` in events/s by `engine` (S), `postgres` (P), `bound` (B) and `worker` (E), `costs` in us/event by
    `worker`, `postgres` and `engine`; either may lack some. Notes are broken into lines.
    """
    lines = [line for note in notes for line in wrap(clean(note), LINE_LENGTH)]
    middle = TOP + ROW * len(rates)
    below = middle + (106 if costs else 8)
    height = below + NOTE * len(lines) + 14
    content = [
        element("style", STYLE),
        element("rect", width=PICTURE_WIDTH, height=height, rx=8, fill="var(--page)"),
        _text(clean(title), 24, 34, "head"),
        *_bars(rates),
        *_stacked(costs, middle),
        *(_text(line, 24, below + NOTE * n, "soft") for n, line in enumerate(lines)),
    ]
    size = {"width": PICTURE_WIDTH, "height": height}
    label = {"role": "img", "aria_label": clean(title)}
    return document(PICTURE_WIDTH, height, clean(title), *content, **size, **label)


def _text(content: str, x: float, y: float, class_: str) -> str:
    return element("text", content, class_=class_, x=x, y=y)


def _bars(rates: Mapping[str, BenchFigure]) -> Iterator[str]:
    """A bar for each median with a whisker from the lowest to the highest value, and its number."""
    top = max((max(figure.values) for figure in rates.values()), default=1) or 1
    if rates:
        yield element("line", class_="axis", x1=LEFT, x2=LEFT, y1=TOP - 8, y2=TOP + ROW * len(rates) - 4)
    for n, (whose, figure) in enumerate(rates.items()):
        y = TOP + ROW * n
        low, width, high = (f(figure.values) / top * WIDTH for f in (min, median, max))
        yield _text(clean(figure.name), LEFT - 10, y + 16, "name")
        yield element("rect", class_=whose, x=LEFT, y=y, width=width, height=22, rx=2)
        if high - low >= 1:
            start, end = f"{LEFT + low:.1f}", f"{LEFT + high:.1f}"
            d = f"M{start} {y + 11}H{end}m0-5v10M{start} {y + 6}v10"
            yield element("path", class_="whisker", fill="none", d=d)
        shown = f"{median(figure.values):,.0f}/s"
        yield _text(shown, LEFT + max(high, width) + 10, y + 16, "number")


def _stacked(costs: Mapping[str, BenchFigure], y: float) -> Iterator[str]:
    """The parts of one bar with their legend; a negative value, as of a very short run, is drawn as 0."""
    parts = {whose: max(0.0, median(figure.values)) for whose, figure in costs.items()}
    total, left = sum(parts.values()) or 1.0, float(LEFT)
    if parts:
        yield _text("CPU an event", LEFT - 10, y + 36, "name")
    for n, (whose, part) in enumerate(parts.items()):
        width, legend = part / total * WIDTH, LEFT + LEGEND * n
        shown = f"{part:.1f}" if part / total >= LEAST_SHARE else ""
        yield element("rect", class_=whose, x=left, y=y + 20, width=width, height=22)
        yield _text(shown, left + width / 2, y + 36, "on")
        yield element("rect", class_=whose, x=legend, y=y + 57, width=11, height=11, rx=2)
        yield element("text", f"{NAMES.get(whose, whose)} {part:.1f} us", x=legend + 17, y=y + 67)
        left += width
