"""A figure: its values, its target, and how it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

COLUMNS = ("figure", "median", "spread", "target", "verdict")


@dataclass(frozen=True)
class BenchFigure:
    """One figure of every repetition; `target` is a bound that the median must keep, None for none."""

    name: str
    unit: str
    values: list[float]
    target: float | None = None
    at_least: bool = False
    digits: int = field(default=0, compare=False)

    @property
    def verdict(self) -> str:
        """Whether the median keeps the target; empty where there is none."""
        if self.target is None:
            return ""
        middle = median(self.values)
        if middle <= 0:
            return "not measured"  # less than nothing: the run was too short for its start-up
        met = middle >= self.target if self.at_least else middle < self.target
        return "met" if met else "MISSED"

    def cells(self) -> list[str]:
        """Name, median, spread, target and verdict."""
        low, middle, high = (self._show(f(self.values)) for f in (min, median, max))
        sign = "at least" if self.at_least else "under"
        target = "" if self.target is None else f"{sign} {self._show(self.target)}"
        return [self.name, f"{middle} {self.unit}".strip(), f"{low} to {high}", target, self.verdict]

    def _show(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


def table(figures: Sequence[BenchFigure]) -> str:
    """A Markdown table that is also readable as it is, without the columns that nobody fills."""
    cells = list(zip(*(figure.cells() for figure in figures), strict=True))
    kept = [[name, *column] for name, column in zip(COLUMNS, cells, strict=True) if any(column)]
    rows = list(zip(*kept, strict=True))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)
