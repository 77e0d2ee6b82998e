"""A figure with its target, and figures as a Markdown table."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

COLUMNS = ("figure", "median", "spread", "target", "verdict")


@dataclass(frozen=True)
class BenchFigure:
    """A value a repetition; the median must be under `target`, or with `at_least` at or above it."""

    name: str
    unit: str
    values: list[float]
    target: float | None = None
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """`met`, `MISSED`, or `not measured` (no more than 0 of what is no number of documents).

        Empty without a target.
        """
        if self.target is None:
            return ""
        middle = median(self.values)
        if middle < 0 or (middle == 0 and self.unit != "documents"):
            return "not measured"
        return "met" if (middle >= self.target if self.at_least else middle < self.target) else "MISSED"

    def cells(self) -> list[str]:
        """Name, median, spread, target and verdict."""
        middle = median(self.values)
        digits = next((number for number, least in enumerate((100, 10, 0.1)) if middle >= least), 3)

        def show(value: float) -> str:
            return f"{value:,.{0 if value == int(value) else digits}f}"

        sign = "at least" if self.at_least else "under"
        target = "" if self.target is None else f"{sign} {self.target:,g}"
        spread = f"{show(min(self.values))} to {show(max(self.values))}"
        return [self.name, f"{show(middle)} {self.unit}".strip(), spread, target, self.verdict]


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
