"""A figure with its bound, and figures as a Markdown table."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

COLUMNS = ("figure", "median", "spread", "bound", "verdict")
MET, BROKEN, UNKNOWN = "met", "REGRESSION", "not measured"


@dataclass(frozen=True)
class BenchFigure:
    """A value a repetition; the median must be under `bound`, or with `at_least` at or above it."""

    name: str
    unit: str
    values: list[float]
    bound: float | None = None
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """MET, BROKEN, or UNKNOWN (no more than 0 of what is no number of documents).

        Empty without a bound.
        """
        if self.bound is None:
            return ""
        middle = median(self.values)
        if middle < 0 or (middle == 0 and self.unit != "documents"):
            return UNKNOWN
        return MET if (middle >= self.bound if self.at_least else middle < self.bound) else BROKEN

    def cells(self) -> list[str]:
        """Name, median, spread, bound and verdict."""
        middle = median(self.values)
        digits = next((number for number, least in enumerate((100, 10, 0.1)) if middle >= least), 3)

        def show(value: float) -> str:
            return f"{value:,.{0 if value == int(value) else digits}f}"

        sign = "at least" if self.at_least else "under"
        bound = "" if self.bound is None else f"{sign} {self.bound:,g}"
        spread = f"{show(min(self.values))} to {show(max(self.values))}"
        return [self.name, f"{show(middle)} {self.unit}".strip(), spread, bound, self.verdict]


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
