"""`python -m benchmarks.latency`: from commit to acknowledged and to searchable; about five minutes."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic, sleep

from benchmarks import report
from benchmarks.open_loop import WARM_UP, WRITERS, Latencies, measure, percentile
from benchmarks.servers import ending, say, started
from outboxctl.core.schema import notify
from outboxctl.drills.bench import fill, process
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.neighbours import Neighbours
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.transport.request import demand

TITLE = "Latency"
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
TRANSACTIONS = 500  # a second at the most; faster rates write several events in each
NOTES = f"""\
- A real `outboxctl worker` with its defaults, a real Elasticsearch. The writer is a process of its own with
  {WRITERS} sessions. It commits one event a transaction, and several only where that would make more than
  {TRANSACTIONS} transactions a second.
- An open loop: every transaction has its time from the beginning on, and none is left out if the one before
  it was slow. "Writer late" is how late one began at the most.
- From: COMMIT has returned to the writer. Acknowledged: the sink has answered, and the settle's transaction
  begins (`processed_at`). Searchable: a search finds the document; some 20 events a second are searched for,
  every 10 ms and as long as a search takes.
- Searches see what was there at the last refresh: each second by the engine's default, so half a second on
  average, whatever the worker does. "Refresh 100 ms" is an index with that `refresh_interval`.
- By polling an idle worker looks again after 10 ms, 20 ms, … up to OUTBOX_POLL_INTERVAL_SECONDS (1 s): a
  steady stream keeps it awake, a lone event after a silence waits about as long as half of that silence.
- The first {WARM_UP:g} s of each cell are thrown away, and one whole cell before the first.
"""


@dataclass(frozen=True)
class Cell:
    """One way at one rate, in events a second; `refresh` where it is not the engine's own."""

    rate: int
    way: str
    refresh: str = ""

    def __str__(self) -> str:
        return f"{self.rate:,}/s, {self.way}" + (f", refresh {self.refresh}" if self.refresh else "")


@dataclass
class Measured:
    """Latencies of each cell, one a repetition."""

    cells: dict[Cell, list[Latencies]] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)

    def figures(self) -> list[BenchFigure]:
        figures = [figure for cell, runs in self.cells.items() for figure in _figures(cell, runs)]
        late = [max(runs[n].late for runs in self.cells.values()) for n in range(len(self.others))]
        return [
            *figures,
            BenchFigure("writer late", "ms", late),
            BenchFigure("cores taken by others", "", self.others, digits=2),
        ]


def _figures(cell: Cell, runs: list[Latencies]) -> Iterator[BenchFigure]:
    kinds = ("searchable",) if cell.refresh else ("acknowledged", "searchable")
    for kind in kinds:
        for name, share in SHARES.items():
            values = [percentile(getattr(run, kind), share) for run in runs]
            yield BenchFigure(f"{cell}: {kind} {name}", "ms", values, digits=1)


def main() -> None:
    given = _arguments()
    with ending(), started() as rig:
        print(_benchmark(rig, given))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--rates", default="1,50,500,5000", help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each cell that count")
    parser.add_argument("--repeat", type=int, default=1)
    return parser.parse_args()


def _benchmark(rig: Rig, given: argparse.Namespace) -> str:
    rates = [int(rate) for rate in given.rates.split(",")]
    cells = [Cell(rate, way) for rate in rates for way in ("polling", "NOTIFY")]
    cells.append(Cell(min(rates, key=lambda rate: abs(rate - 50)), "NOTIFY", "100 ms"))
    say("warm-up")
    _run(rig, Cell(TRANSACTIONS, "NOTIFY"), 10.0)
    into, neighbours = Measured(), Neighbours(rig)
    for number in range(1, given.repeat + 1):
        for cell in cells:
            run = _run(rig, cell, given.seconds)
            into.cells.setdefault(cell, []).append(run)
            say(f"repetition {number} of {given.repeat}, {cell}: {_said(run)}")
        into.others.append(neighbours.cores())
    command = report.command("benchmarks.latency", vars(given))
    events = ", ".join(f"{rate * given.seconds:,.0f} at {rate:,}/s" for rate in rates)
    about = f"Events that count, a repetition: {events}; {given.repeat} repetitions."
    on, figures = surroundings(rig.versions), into.figures()
    return report.write_section(TITLE, command=command, about=about, on=on, figures=figures, notes=NOTES)


def _run(rig: Rig, cell: Cell, seconds: float) -> Latencies:
    fill.reset(rig)
    if cell.refresh:
        refresh = {"index.refresh_interval": cell.refresh.replace(" ", "")}
        demand(rig.client, "PUT", rig.settings.elastic_index, "_settings", body=refresh)
    with rig.database.begin() as connection:
        notify.switch(connection, on=cell.way == "NOTIFY")
    with process.serving(rig):
        if cell.way == "NOTIFY":
            _wait_for_ears(rig)
        return measure(rig, cell.rate, seconds, together=max(1, cell.rate // TRANSACTIONS))


def _wait_for_ears(rig: Rig) -> None:
    end = monotonic() + 10
    while True:
        with rig.database.begin() as connection:
            if notify.status(connection).listening:
                return
        must(monotonic() < end, "the worker does not listen")
        sleep(0.05)


def _said(run: Latencies) -> str:
    shown = (
        f"{kind} " + " / ".join(f"{percentile(getattr(run, kind), share):.1f}" for share in SHARES.values())
        for kind in ("acknowledged", "searchable")
    )
    return f"{', '.join(shown)} ms ({' / '.join(SHARES)}), writer late {run.late:.1f} ms"


if __name__ == "__main__":
    main()
