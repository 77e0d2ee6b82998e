"""What is measured of outboxctl and of pgsync alike, in turns on the same rows and servers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil

from benchmarks import processes
from benchmarks.command import OTHERS, collected, ratios, say
from benchmarks.figure import BenchFigure
from benchmarks.pgsync import spent
from benchmarks.processes import BY
from benchmarks.rig import Rig

RATIOS = {"first fill, outboxctl/pgsync": "fill", "updates, outboxctl/pgsync": "updates"}
Started = tuple[dict[str, float], list[psutil.Process]]  # figures of the first fill, and who goes on


@contextmanager
def outboxctl(rig: Rig, *flags: str) -> Iterator[Started]:
    """An index that `rebuild` with these flags has filled; then a worker."""
    filled = processes.run(rig, "rebuild", *flags, *BY)
    with processes.serving(rig) as worker:
        cpu = {"own": filled.worker, "PostgreSQL": filled.postgres, "Elasticsearch": filled.engine}
        figures = {f"outboxctl: fill, {whose} CPU": seconds for whose, seconds in cpu.items()}
        yield figures | {"outboxctl: fill": filled.wall}, [psutil.Process(worker.pid)]


def updates(
    rig: Rig,
    name: str,
    running: list[psutil.Process],
    rows: int,
    *,
    write: Callable[[], tuple[float, float]],
    found_at: Callable[[float], float],
) -> dict[str, float]:
    """The figures of `rows` updates of the tool `name`, whose processes are `running`.

    `write` makes the updates and returns when it began and ended, `found_at` when a search found the last
    of them, by the writer's end; seconds since the epoch.
    """
    before = spent(rig, running)
    began, ended = write()
    found = found_at(ended)
    return {
        f"{name}: updates": rows / (found - began),
        f"{name}: its writer": rows / (ended - began),
        f"{name}: lag": found - ended,
        **{f"{name}: updates, {whose} CPU": s - before[whose] for whose, s in spent(rig, running).items()},
    }


def figures(rig: Rig, repeat: int, repetition: Callable[[int], Mapping[str, float]]) -> list[BenchFigure]:
    """What `repetition` measures, by name, and the ratios of both tools; the first does not count."""
    say("warm-up: a repetition that does not count")
    repetition(0)
    values = collected(rig, repeat, repetition)
    return [_figure(name, each) for name, each in values.items()] + compared(values, RATIOS)


def compared(values: Mapping[str, list[float]], names: Mapping[str, str]) -> list[BenchFigure]:
    """The ratio of outboxctl's value to pgsync's, by the figure's name."""
    pairs = {name: (values[f"outboxctl: {what}"], values[f"pgsync: {what}"]) for name, what in names.items()}
    return [BenchFigure(name, "", ratios(*each), at_least=True, digits=2) for name, each in pairs.items()]


def _figure(name: str, values: list[float]) -> BenchFigure:
    if name == OTHERS:
        return BenchFigure(name, "", values, digits=2)
    if "wrong" in name:
        return BenchFigure(name, "", values)
    if "CPU" in name or "lag" in name or "bootstrap" in name:
        return BenchFigure(name, "s", values, digits=2)
    return BenchFigure(name, "docs/s" if name.endswith("fill") else "rows/s", values)
