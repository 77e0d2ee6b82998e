"""Whether a ratio has become worse than its own noise explains; pure.

The noise is half the spread of the one run plus half the spread of the other, and 5 % of the older median,
since five repetitions do not show all of it. A loss within the noise proves nothing. Where the noise is
more than a third of the median it could hide a real loss: that ratio is inconclusive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from outboxctl.domain.errors import ExitCode
from outboxctl.drills.bench.figure import BenchFigure

FLOOR = 0.05
TOO_NOISY = 0.35


@dataclass(frozen=True)
class Compared:
    """One ratio then and now: the loss (below 0 it has become better) and the loss that noise explains."""

    name: str
    then: float
    now: float
    loss: float
    noise: float

    @property
    def verdict(self) -> str:
        """`ok`, `WORSE` or `too noisy`."""
        if min(self.then, self.now) <= 0:
            return "too noisy"  # too short a run to cost anything
        if self.loss > self.noise:
            return "WORSE"
        return "too noisy" if self.noise > TOO_NOISY * self.then else "ok"

    def cells(self) -> list[str]:
        """Name, then, now, the loss that would be too much, and the verdict."""
        return [self.name, f"{self.then:.3f}", f"{self.now:.3f}", f"{self.noise:.3f}", self.verdict]


def compare(then: BenchFigure, now: BenchFigure) -> Compared:
    """A loss is a smaller median where more is better (`at_least`), else a larger one."""
    before, after = median(then.values), median(now.values)
    loss = before - after if now.at_least else after - before
    noise = _half_spread(then.values) + _half_spread(now.values) + FLOOR * before
    return Compared(now.name, before, after, loss, noise)


def exit_code(compared: Sequence[Compared]) -> ExitCode:
    """4 where something has become worse, 5 where that cannot be told, else 0."""
    verdicts = {each.verdict for each in compared}
    if "WORSE" in verdicts:
        return ExitCode.FINDINGS
    return ExitCode.OK if verdicts == {"ok"} else ExitCode.INCONCLUSIVE


def _half_spread(values: Sequence[float]) -> float:
    return (max(values) - min(values)) / 2
