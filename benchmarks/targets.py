"""The targets of issue 7: each a bound, and the section and figure of RESULTS.json that it is for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from outboxctl.drills.bench.figure import BenchFigure

Sections = Mapping[str, Sequence[BenchFigure]]
HEAD = ["what", "target", "median", "spread", "verdict", "section"]


@dataclass(frozen=True)
class Target:
    """The median of `figure` in `section` must be under `bound`, or with `at_least` at or above it.

    A section that was measured beside fewer than `done` rows does not count.
    """

    what: str
    section: str
    figure: str
    bound: float
    at_least: bool = False
    done: int = 0


MANY = 10_000_000  # done rows; with them 1,000,000 wait for a retry and 100,000 have failed
TARGETS = (
    Target("end to end against the bound B", "Pipeline", "E/B", 0.90, at_least=True),
    Target("B against the sink alone", "Pipeline", "B/S", 0.45, at_least=True),
    Target("a burst against pgsync's first sync", "Peers", "outboxctl/pgsync, from exec", 3, at_least=True),
    Target("a stream's lag when its writer ends", "Stream", "lag when the writer ends", 1),
    Target("the longest claim of a stream", "Stream", "longest claim", 100),
    Target("worker CPU an event", "Pipeline", "worker CPU", 8),
    Target("PostgreSQL CPU an event", "Pipeline", "PostgreSQL CPU", 16),
    Target("rate, 10,000,000 done rows", "Shapes", "rate, many done / empty", 0.85, at_least=True, done=MANY),
    Target("claim of 500, 1,000,000 wait for a retry", "Shapes", "claim, waiting / empty", 1.2, done=MANY),
    Target("claim of 500, 100,000 failed", "Shapes", "claim, failed / empty", 1.2, done=MANY),
    Target("commit to acknowledged, 50/s, NOTIFY, p50", "Latency", "50/s, NOTIFY: acknowledged p50", 5),
    Target("commit to acknowledged, 50/s, NOTIFY, p99", "Latency", "50/s, NOTIFY: acknowledged p99", 20),
    Target("memory, 1,000,000 pending, small documents", "Memory", "peak, small", 120),
    Target("memory, 1,000,000 pending, large documents", "Memory", "peak, large", 300),
    Target("memory, small, last minute against first", "Memory", "growth, small", 1.05),
    Target("memory, large, last minute against first", "Memory", "growth, large", 1.05),
    Target("two workers against one, null sink", "Workers", "null sink, two/one", 1.6, at_least=True),
    Target("from exec to the first claim", "Pipeline", "start to first claim", 700),
)
BY_FIGURE = {(target.section, target.figure): target for target in TARGETS}


def with_bounds(section: str, figures: Sequence[BenchFigure]) -> list[BenchFigure]:
    """The figures of a section, with the bounds of `TARGETS` where there is one."""
    return [_with_bound(figure, BY_FIGURE.get((section, figure.name))) for figure in figures]


def _with_bound(figure: BenchFigure, target: Target | None) -> BenchFigure:
    return figure if target is None else replace(figure, target=target.bound, at_least=target.at_least)


def rows(sections: Sections, done: Mapping[str, int]) -> list[list[str]]:
    """The table of targets, its head first; `done` is how many done rows each section was measured beside."""
    return [HEAD, *(_row(each, _measured(each, sections, done)) for each in TARGETS)]


def _measured(target: Target, sections: Sections, done: Mapping[str, int]) -> BenchFigure | None:
    figures = sections.get(target.section, ()) if done.get(target.section, 0) >= target.done else ()
    return next((f for f in figures if f.name == target.figure and f.values), None)


def _row(target: Target, figure: BenchFigure | None) -> list[str]:
    if figure is None:
        sign = "at least" if target.at_least else "under"
        return [target.what, f"{sign} {target.bound:,g}", "", "", "not measured", target.section]
    _, median, spread, bound, verdict = _with_bound(figure, target).cells()
    return [target.what, bound, median, spread, verdict, target.section]
