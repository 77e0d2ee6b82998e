"""`python -m benchmarks.check`: has a ratio become worse than in RESULTS.json? Under five minutes.

Only ratios are compared, so it may run on another machine. A loss is measured a second time before it counts,
and both times together are compared. Exit 0 if none has become worse than its own noise explains, 4 if one
has, 5 if the noise is too great to decide.
The noise is half the spread of the one run plus half the spread of the other, and 5 % of the older median,
since a few repetitions do not show all of it. A loss within the noise proves nothing. Where the noise is
more than a third of the median it could hide a real loss: that ratio is inconclusive.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from benchmarks import comparing, fill, pipeline, report
from benchmarks.command import exit_on_error, say, started
from benchmarks.figure import BenchFigure, markdown_table
from benchmarks.rig import Rig
from outboxctl.domain.errors import ExitCode, UsageError

FLOOR = 0.05
TOO_NOISY = 0.35
HEAD = ["ratio", "RESULTS.json", "now", "noise", "verdict"]
RATIOS = {
    pipeline.TITLE: ("E/B", "B/S", "worker/Elasticsearch CPU", "PostgreSQL/Elasticsearch CPU"),
    comparing.TITLE: (comparing.CPU,),
    fill.TITLE: (fill.BOUND,),
}
EVENTS, ROWS = 50_000, 80_000


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


def main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks.check", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with exit_on_error():
        sections = report.read()["sections"]
        then, like = recorded(sections), sections[pipeline.TITLE]["given"]
        with started(bulk_size=like["bulk_size"], concurrency=like["concurrency"]) as rig:
            now = measured(rig, then, like["bytes"], args)
        sys.exit(judged(then, now))


def recorded(sections: Mapping[str, Any]) -> dict[str, BenchFigure]:
    """The ratios of RESULTS.json by name. Raises UsageError where one was never measured."""
    ratios = {
        figure.name: figure
        for title, names in RATIOS.items()
        for figure in report.figures(sections.get(title, {}))
        if figure.name in names and figure.values
    }
    if missing := [name for names in RATIOS.values() for name in names if name not in ratios]:
        raise UsageError(f"RESULTS.json lacks {', '.join(missing)}", hint="run `make bench` first")
    return ratios


def judged(then: Mapping[str, BenchFigure], now: Sequence[BenchFigure]) -> ExitCode:
    """Print every comparison and name each loss; the exit code."""
    found = _compared(then, now)
    cells = [[c.name, *(f"{x:.3f}" for x in (c.then, c.now, c.noise)), c.verdict] for c in found]
    print(markdown_table([HEAD, *cells]))
    for c in found:
        if c.verdict != "ok":
            change = f"from {c.then:.3f} to {c.now:.3f}; up to {c.noise:.3f} would be noise"
            print(f"{c.name}: {c.verdict}, {change}", file=sys.stderr)
    return exit_code(found)


def _compared(then: Mapping[str, BenchFigure], now: Sequence[BenchFigure]) -> list[Compared]:
    return [compare(then[figure.name], figure) for figure in now if figure.name in then]


def compare(then: BenchFigure, now: BenchFigure) -> Compared:
    """A loss is a smaller median where more is better (`at_least`), else a larger one."""
    before, after = median(then.values), median(now.values)
    loss = before - after if now.at_least else after - before
    half_spreads = sum((max(figure.values) - min(figure.values)) / 2 for figure in (then, now))
    return Compared(now.name, before, after, loss, half_spreads + FLOOR * before)


def exit_code(compared: Sequence[Compared]) -> ExitCode:
    """4 where something has become worse, 5 where that cannot be decided, else 0."""
    verdicts = {each.verdict for each in compared}
    if "WORSE" in verdicts:
        return ExitCode.FINDINGS
    return ExitCode.OK if verdicts == {"ok"} else ExitCode.INCONCLUSIVE


def measured(rig: Rig, then: Mapping[str, BenchFigure], size: int, args: Namespace) -> list[BenchFigure]:
    """The ratios; a second time, and both together, where one has become worse."""
    now = measure(rig, size, args.repeat)
    if exit_code(_compared(then, now)) is not ExitCode.FINDINGS:
        return now
    say("worse: measured a second time")
    again = measure(rig, size, args.repeat)
    return [replace(a, values=[*a.values, *b.values]) for a, b in zip(now, again, strict=True)]


def measure(rig: Rig, size: int, repeat: int) -> list[BenchFigure]:
    """E/B, B/S and CPU ratios, a comparison of both sides, and a first fill."""
    m = pipeline.repeated(rig, EVENTS, size, repeat, documents=2 * EVENTS)
    say(f"others took {median(m.others):.1f} cores meanwhile: near 0, or noise comes from them")
    return [
        *report.with_bounds(pipeline.TITLE, pipeline.figures_of(m)),
        *comparing.quick(rig, ROWS, size, repeat),
        *fill.quick(rig, ROWS, size, repeat),
    ]


if __name__ == "__main__":
    main()
