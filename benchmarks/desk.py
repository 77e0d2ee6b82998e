"""`python -m benchmarks.desk`: what the operator's commands cost on a large outbox, and the worker meanwhile.

With the default sizes about half an hour, most of it for filling the table.
"""

import argparse
import json
import signal
from dataclasses import dataclass, field
from time import monotonic, perf_counter, sleep

from benchmarks import desk_rows, report
from benchmarks.servers import ending, say, started
from outboxctl.core.stats import snapshot
from outboxctl.drills.bench import fill, pipeline, process
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.neighbours import Neighbours
from outboxctl.drills.bench.rig import Rig

OLDER_THAN = ("--older-than", "7d")
BYTES = 500  # text of a source row
TITLE = "The operator's desk"
NOTES = """\
- Database time of `status`: its statements alone, on a connection that is there. All others are whole
  commands, from start to exit, with `--json`; a command's own start takes some 0.4 s of it.
- The longest batch of a replay: the longest time between the starts of two transactions, by the audit.
- Between two replays the events are made to fail again, and the table is vacuumed.
- The worker beside a prune: a real `worker --drain` with its own documents and a real Elasticsearch, alone
  and beside a `prune` at its default rate, in turns; the ratio is that of each pair.
- `prune`, paced: its own rate meanwhile. Unpaced: what is left in the end, with `--rate 1000000`.
"""


@dataclass
class Measured:
    """A value a repetition."""

    status_ms: list[float] = field(default_factory=list)
    status: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    replay: list[float] = field(default_factory=list)
    longest: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    paced: list[float] = field(default_factory=list)
    unpaced: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def figures(self) -> list[BenchFigure]:
        ratio = [b / a for a, b in zip(self.alone, self.beside, strict=True)]
        return [
            BenchFigure("status, database time", "ms", self.status_ms, 100, digits=1),
            BenchFigure("status", "s", self.status, digits=2),
            BenchFigure("failed list", "s", self.failed, 1, digits=2),
            BenchFigure("replay", "s", self.replay, 10, digits=2),
            BenchFigure("its longest batch", "ms", self.longest, 100, digits=1),
            BenchFigure("prune, paced", "rows/s", self.paced, 20_000, at_least=True),
            BenchFigure("prune, unpaced", "rows/s", self.unpaced),
            BenchFigure("worker alone", "events/s", self.alone),
            BenchFigure("worker beside a prune", "events/s", self.beside),
            BenchFigure("beside/alone", "", ratio, 0.9, at_least=True, digits=2),
            BenchFigure("cores taken by others", "", self.others, digits=2),
        ]


def main() -> None:
    given = _arguments()
    with ending(), started() as rig:
        print(_benchmark(rig, given))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.desk", description=__doc__)
    parser.add_argument("--done", type=int, default=10_000_000, help="done rows; 400,000 a repetition go")
    parser.add_argument("--failed", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=50_000, help="that the worker delivers each time")
    parser.add_argument("--repeat", type=int, default=5)
    return parser.parse_args()


def _benchmark(rig: Rig, given: argparse.Namespace) -> str:
    say(f"{given.done:,} done and {given.failed:,} failed rows")
    desk_rows.make(rig, given.done, given.failed)
    say("warm-up")
    _alone(rig, given.events, 0)
    into, neighbours = Measured(), Neighbours(rig)
    for number in range(1, given.repeat + 1):
        say(f"repetition {number} of {given.repeat}")
        _look(rig, into)
        _replay(rig, given.failed, into)
        _worker(rig, given.events, number, into)
        into.others.append(neighbours.cores())
    into.unpaced.append(_unpaced(rig))
    command = report.command("benchmarks.desk", vars(given))
    about = (
        f"{given.done:,} done and {given.failed:,} failed rows, {given.events:,} events for the worker,"
        f" {given.repeat} repetitions."
    )
    on, figures = surroundings(rig.versions), into.figures()
    return report.write_section(TITLE, command=command, about=about, on=on, figures=figures, notes=NOTES)


def _look(rig: Rig, into: Measured) -> None:
    into.status_ms.append(_standing_ms(rig))
    into.status.append(process.answer(rig, "status")[0])
    into.failed.append(process.answer(rig, "failed", "list")[0])
    say(f"status {into.status_ms[-1]:.1f} ms of {into.status[-1]:.2f} s, failed list {into.failed[-1]:.2f} s")


def _standing_ms(rig: Rig) -> float:
    with rig.database.begin() as connection:
        started_ = perf_counter()
        snapshot.pipeline_status(connection, max_processing=rig.settings.max_processing_seconds)
        return 1_000 * (perf_counter() - started_)


def _replay(rig: Rig, failed: int, into: Measured) -> None:
    who = ("--by", "bench", "--reason", "bench", "--limit", str(failed))
    seconds, said = process.answer(rig, "replay", *who)
    assert said["replayed"] == failed, said["replayed"]
    into.replay.append(seconds)
    into.longest.append(desk_rows.longest_batch_ms(rig, said["audit_id"]))
    say(f"replay {seconds:.2f} s, longest batch {into.longest[-1]:.0f} ms")
    desk_rows.fail_again(rig)


def _worker(rig: Rig, events: int, number: int, into: Measured) -> None:
    """Alone and beside a prune, the other way round each time: what drifts hits both."""
    for beside in (False, True) if number % 2 else (True, False):
        if beside:
            into.beside.append(_beside(rig, events, 2 * number + 1, into))
        else:
            into.alone.append(_alone(rig, events, 2 * number))
    say(f"worker {into.alone[-1]:,.0f}/s, beside a prune of {into.paced[-1]:,.0f}/s {into.beside[-1]:,.0f}/s")


def _alone(rig: Rig, events: int, seed: int) -> float:
    _fill(rig, events, seed)
    return pipeline.rate(rig, events, process.drain(rig))


def _fill(rig: Rig, events: int, seed: int) -> None:
    fill.fresh_index(rig)
    fill.write(rig.database, events, BYTES, 1_000, seed=seed)
    desk_rows.settle(rig)


def _beside(rig: Rig, events: int, seed: int, into: Measured) -> float:
    _fill(rig, events, seed)
    before = desk_rows.prune_batches(rig)
    with process.begin(rig, "prune", *OLDER_THAN, "--json") as pruning:
        end = monotonic() + process.PATIENCE
        while desk_rows.prune_batches(rig) == before:
            assert monotonic() < end, "the prune has not begun"
            sleep(0.05)
        run = process.drain(rig)
        pruning.send_signal(signal.SIGINT)
        said = json.loads(pruning.communicate(timeout=process.PATIENCE)[0])
    assert said["interrupted"], "the prune ended before the worker: give more --done"
    into.paced.append(said["pruned"] / said["seconds"])
    return pipeline.rate(rig, events, run)


def _unpaced(rig: Rig) -> float:
    desk_rows.settle(rig)
    said = process.answer(rig, "prune", *OLDER_THAN, "--rate", "1000000")[1]
    say(f"prune of the remaining {said['pruned']:,} rows in {said['seconds']:.1f} s")
    return float(said["pruned"] / said["seconds"])


if __name__ == "__main__":
    main()
