"""`python -m benchmarks.memory`: a worker's memory beside a backlog that never ends; some 25 minutes."""

import argparse
from dataclasses import dataclass
from statistics import linear_regression
from subprocess import Popen
from time import monotonic, sleep

import psutil

from benchmarks import memory_rows, report
from benchmarks.servers import ending, say, started
from outboxctl.drills.bench import fill, process
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.rig import Rig, must

SMALL, LARGE = 200, 20_000  # bytes of text
IDLE = 0.5  # minutes with nothing to do
MINUTE = 60
TITLE = "Memory"
NOTES = """\
- A real `outboxctl worker` with its default settings; its resident memory (RSS) each second, in MB of 10^6.
- Small and large: 200 and 20,000 bytes of text a source row; its other columns add some 370 bytes of JSON.
  The text repeats itself, which spares the servers' disks; a worker holds it as it would any other.
- The backlog: whenever half of the events are done they are made pending again, by SQL.
- Growth: the most of the last minute over the most of the first, which holds the start. The slope is that of
  a straight line through everything after the first minute.
"""


@dataclass(frozen=True)
class Watched:
    """RSS of each second, in MB."""

    rss: list[float]

    @property
    def growth(self) -> float:
        """The most of the last minute over that of the first."""
        return max(self.rss[-MINUTE:]) / max(self.rss[:MINUTE])

    @property
    def slope(self) -> float:
        """MB a minute after the first one."""
        later = self.rss[MINUTE:] if len(self.rss) > 2 * MINUTE else self.rss
        return MINUTE * linear_regression(range(len(later)), later).slope

    def figures(self, name: str) -> list[BenchFigure]:
        return [
            BenchFigure(f"peak, {name}", "MB", [max(self.rss)]),
            BenchFigure(f"first minute, {name}", "MB", self.rss[:MINUTE]),
            BenchFigure(f"last minute, {name}", "MB", self.rss[-MINUTE:]),
            BenchFigure(f"growth, {name}", "", [self.growth], digits=2),
            BenchFigure(f"slope, {name}", "MB/min", [self.slope], digits=2),
        ]


def main() -> None:
    given = _arguments()
    with ending(), started() as rig:
        print(_benchmark(rig, given))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="pending events")
    parser.add_argument("--minutes", type=float, default=10, help="for each size of documents")
    return parser.parse_args()


def _benchmark(rig: Rig, given: argparse.Namespace) -> str:
    fill.reset(rig)
    idle = _watch(rig, IDLE)
    figures = [BenchFigure("peak, nothing to do", "MB", [max(idle.rss)])]
    for name, size in (("small", SMALL), ("large", LARGE)):
        say(f"{given.events:,} pending events, {name} documents")
        memory_rows.make(rig, given.events, size)
        with memory_rows.endless(rig, given.events):
            figures += _watch(rig, given.minutes).figures(name)
    command = report.command("benchmarks.memory", vars(given))
    about = f"{given.events:,} pending events, {given.minutes:g} minutes for each size of documents."
    on = surroundings(rig.versions)
    return report.write_section(TITLE, command=command, about=about, on=on, figures=figures, notes=NOTES)


def _watch(rig: Rig, minutes: float) -> Watched:
    """Let a worker work for so long, and look at it each second."""
    rss: list[float] = []
    with process.begin(rig, "worker") as worker:
        try:
            _sample(worker, monotonic() + MINUTE * minutes, rss)
        finally:
            worker.terminate()
        must(worker.wait(process.PATIENCE) == 0, "the worker did not end well")
    return Watched(rss)


def _sample(worker: Popen[str], end: float, into: list[float]) -> None:
    seen = psutil.Process(worker.pid)
    while monotonic() < end:
        sleep(1)
        must(worker.poll() is None, "the worker has ended")
        into.append(seen.memory_info().rss / 1e6)
        if len(into) % MINUTE == 0:
            say(f"{into[-1]:.0f} MB, at most {max(into):.0f}")


if __name__ == "__main__":
    main()
