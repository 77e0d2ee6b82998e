"""`python -m benchmarks.check`: has a ratio become worse than in RESULTS.json? Under five minutes.

With `--quick` under three: the ratios of `QUICK`, of fewer events. A loss is measured a second time before it
counts, and both times together are compared.

Only ratios are compared, so it may run on another machine. Exit 0 if none has become worse than its own
noise explains, 4 if one has, 5 if the noise is too great to decide.
The noise is half the spread of the one run plus half the spread of the other, and 5 % of the older median,
since five repetitions do not show all of it. A loss within the noise proves nothing. Where the noise is
more than a third of the median it could hide a real loss: that ratio is inconclusive.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from benchmarks import base, comparing, fill, report, shapes
from benchmarks.command import exit_on_error, say, started
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.drills.bench.figure import BenchFigure, markdown_table
from outboxctl.drills.bench.rig import Rig

FLOOR = 0.05
TOO_NOISY = 0.35
HEAD = ["ratio", "RESULTS.json", "now", "noise", "verdict"]
RATIOS = {
    base.TITLE: ("E/B", "B/S", "worker/Elasticsearch CPU", "PostgreSQL/Elasticsearch CPU"),
    comparing.TITLE: (comparing.CPU,),
    fill.TITLE: (fill.BOUND,),
    "Shapes": ("claim, some done / empty", "claim, waiting / empty", "claim, failed / empty"),
}
FULL = (base.TITLE, "Shapes")
QUICK_EVENTS, QUICK_ROWS = 50_000, 80_000


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
    parser.add_argument("--quick", action="store_true", help="under three minutes: fewer ratios and events")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--done", type=int, default=500_000, help="done rows; waiting and failed are fewer")
    args = parser.parse_args()
    with exit_on_error():
        sections = report.read()["sections"]
        like = sections[base.TITLE]["given"]
        then = recorded(sections, QUICK if args.quick else FULL)
        with started(bulk_size=like["bulk_size"], concurrency=like["concurrency"]) as rig:
            now = measured_quickly(rig, then, like, args) if args.quick else _measured(rig, like, args)
        sys.exit(judged(then, now))


def recorded(sections: Mapping[str, Any], titles: Collection[str] = FULL) -> dict[str, BenchFigure]:
    """The ratios of RESULTS.json by name. Raises UsageError where one was never measured."""
    wanted = {title: RATIOS[title] for title in titles}
    ratios = {
        figure.name: figure
        for title, names in wanted.items()
        for figure in report.figures(sections.get(title, {}))
        if figure.name in names and figure.values
    }
    if missing := [name for names in wanted.values() for name in names if name not in ratios]:
        raise UsageError(f"RESULTS.json lacks {', '.join(missing)}", hint="run `make bench` first")
    return ratios


def judged(then: Mapping[str, BenchFigure], now: Sequence[BenchFigure]) -> ExitCode:
    """Print every comparison and name each loss; the exit code."""
    compared = [compare(then[figure.name], figure) for figure in now if figure.name in then]
    cells = [[c.name, *(f"{x:.3f}" for x in (c.then, c.now, c.noise)), c.verdict] for c in compared]
    print(markdown_table([HEAD, *cells]))
    for c in compared:
        if c.verdict != "ok":
            change = f"from {c.then:.3f} to {c.now:.3f}; up to {c.noise:.3f} would be noise"
            print(f"{c.name}: {c.verdict}, {change}", file=sys.stderr)
    return exit_code(compared)


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


def measured_quickly(
    rig: Rig, then: Mapping[str, BenchFigure], like: Mapping[str, Any], args: Namespace
) -> list[BenchFigure]:
    """The ratios of QUICK; a second time, and both together, where one has become worse."""
    now = [figure for measure in QUICK.values() for figure in measure(rig, like, args)]
    compared = [compare(then[figure.name], figure) for figure in now if figure.name in then]
    if exit_code(compared) is not ExitCode.FINDINGS:
        return now
    say("worse: measured a second time")
    again = [figure for measure in QUICK.values() for figure in measure(rig, like, args)]
    return [replace(a, values=[*a.values, *b.values]) for a, b in zip(now, again, strict=True)]


def _measured(rig: Rig, like: Mapping[str, Any], args: Namespace) -> list[BenchFigure]:
    base.warm_up(rig, like["base_events"], like["bytes"])
    figures = _pipeline(rig, like["base_events"], like, args)
    return [*figures, *shapes.quick_claims(rig, args.done, args.repeat)]


def _pipeline(rig: Rig, events: int, like: Mapping[str, Any], args: Namespace) -> list[BenchFigure]:
    measured = base.repeated(rig, events, like["bytes"], args.repeat)
    if measured.others:
        say(f"others took {median(measured.others):.1f} cores meanwhile: near 0, or noise comes from them")
    return report.with_bounds(base.TITLE, base.figures_of(measured))


def _worker(rig: Rig, like: Mapping[str, Any], args: Namespace) -> list[BenchFigure]:
    """E/B, B/S and CPU ratios; what `measure` itself warms up is enough for a comparison with the sink."""
    return _pipeline(rig, QUICK_EVENTS, like, args)


def _fill(rig: Rig, like: Mapping[str, Any], args: Namespace) -> list[BenchFigure]:
    return fill.quick(rig, QUICK_ROWS, like["bytes"], args.repeat)


def _verify(rig: Rig, like: Mapping[str, Any], args: Namespace) -> list[BenchFigure]:
    return comparing.quick(rig, QUICK_ROWS, like["bytes"], args.repeat)


# What `--quick` measures, by the section that it is compared with: a name of RATIOS, and the figures of a
# minute at most.
QUICK: dict[str, Callable[[Rig, Mapping[str, Any], Namespace], list[BenchFigure]]] = {
    base.TITLE: _worker,
    comparing.TITLE: _verify,
    fill.TITLE: _fill,
}


if __name__ == "__main__":
    main()
