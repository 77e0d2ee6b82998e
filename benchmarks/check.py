"""`python -m benchmarks.check`: has a ratio become worse than in RESULTS.json? Under five minutes.

Only ratios are compared, so it may run on another machine; benchmarks/gate.py has what counts as worse.
Exit 0 if none has, 4 if one has, 5 if the noise is too great to decide.
"""

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks import base, report, shapes, targets
from benchmarks.command import arguments
from benchmarks.gate import Compared, compare, exit_code
from benchmarks.servers import exit_on_error, say, started
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig

HEAD = ["ratio", "RESULTS.json", "now", "noise", "verdict"]
OPTIONS = {"repeat": (3, ""), "done": (500_000, "done rows; waiting and failed are fewer")}
RATIOS = {
    base.TITLE: ("E/B", "B/S", "worker/Elasticsearch CPU", "PostgreSQL/Elasticsearch CPU"),
    "Shapes": ("claim, some done / empty", "claim, waiting / empty", "claim, failed / empty"),
}


def main() -> None:
    args = arguments("benchmarks.check", __doc__, OPTIONS).parse_args()
    with exit_on_error():
        sections = report.read()["sections"]
        then, like = recorded(sections), sections[base.TITLE]["given"]
        with started(bulk_size=like["bulk_size"], concurrency=like["concurrency"]) as rig:
            now = _measured(rig, like, args)
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
    compared = [compare(then[figure.name], figure) for figure in now if figure.name in then]
    print(report.markdown_table([HEAD, *(each.cells() for each in compared)]))
    for each in compared:
        if each.verdict != "ok":
            print(_loss(each), file=sys.stderr)
    return exit_code(compared)


def _loss(each: Compared) -> str:
    change = f"from {each.then:.3f} to {each.now:.3f}; up to {each.noise:.3f} would be noise"
    return f"{each.name}: {each.verdict}, {change}"


def _measured(rig: Rig, like: Mapping[str, Any], args: Namespace) -> list[BenchFigure]:
    base.warm_up(rig, like["base_events"], like["bytes"])
    into = base.repeated(rig, like["base_events"], like["bytes"], args.repeat)
    say(f"others took {median(into.others):.1f} cores meanwhile: near 0, or the noise is theirs")
    return [
        *targets.with_bounds(base.TITLE, base.figures_of(into)),
        *shapes.quick_claims(rig, args.done, args.repeat),
    ]


if __name__ == "__main__":
    main()
