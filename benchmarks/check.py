"""`python -m benchmarks.check`: has a ratio become worse than RESULTS.json says? Under five minutes.

Only ratios are compared, so that another machine may ask; see benchmarks/gate.py for what counts as
worse. Exit 0 if none has, 4 if one has, 5 if the noise is too great to tell.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks import base, claims, report, targets
from benchmarks.gate import Compared, compare, exit_code
from benchmarks.servers import ending, say, started
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig

HEAD = ["ratio", "RESULTS.json", "now", "noise", "verdict"]
RATIOS = {
    base.TITLE: ("E/B", "B/S", "worker/Elasticsearch CPU", "PostgreSQL/Elasticsearch CPU"),
    "Shapes": ("claim, some done / empty", "claim, waiting / empty", "claim, failed / empty"),
}


def main() -> None:
    given = _arguments()
    with ending():
        sections = report.read()["sections"]
        then, like = recorded(sections), sections[base.TITLE]["given"]
        with started(bulk_size=like["bulk_size"], concurrency=like["concurrency"]) as rig:
            now = _measured(rig, like, given)
        sys.exit(judged(then, now))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--done", type=int, default=500_000, help="done rows; waiting and failed are fewer")
    return parser.parse_args()


def recorded(sections: Mapping[str, Any]) -> dict[str, BenchFigure]:
    """The ratios of RESULTS.json by name. Raises UsageError where one was never measured."""
    found = {
        figure.name: figure
        for title, names in RATIOS.items()
        for figure in report.figures(sections.get(title, {}))
        if figure.name in names and figure.values
    }
    if missing := [name for names in RATIOS.values() for name in names if name not in found]:
        raise UsageError(f"RESULTS.json lacks {', '.join(missing)}", hint="run `make bench` first")
    return found


def judged(then: Mapping[str, BenchFigure], now: Sequence[BenchFigure]) -> ExitCode:
    """Print every comparison and name each loss; the exit code."""
    compared = [compare(then[figure.name], figure) for figure in now if figure.name in then]
    print(report.lined([HEAD, *(each.cells() for each in compared)]))
    for each in compared:
        if each.verdict != "ok":
            print(_said(each), file=sys.stderr)
    return exit_code(compared)


def _said(each: Compared) -> str:
    change = f"from {each.then:.3f} to {each.now:.3f}; up to {each.noise:.3f} would be noise"
    return f"{each.name}: {each.verdict}, {change}"


def _measured(rig: Rig, like: Mapping[str, Any], given: argparse.Namespace) -> list[BenchFigure]:
    base.warm_up(rig, like["base_events"], like["bytes"])
    into, _ = base.repeated(rig, like["base_events"], like["bytes"], given.repeat)
    say(f"others took {median(into.others):.1f} cores meanwhile: near 0, or the noise is theirs")
    return [*targets.aimed(base.TITLE, into.figures()), *claims.quick(rig, given.done, given.repeat)]


if __name__ == "__main__":
    main()
