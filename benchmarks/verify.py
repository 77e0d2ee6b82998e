"""`python -m benchmarks.verify`: what it costs to compare both sides; six minutes with a million entities."""

import argparse
from dataclasses import dataclass, field
from statistics import median

from sqlalchemy import text

from benchmarks import report
from benchmarks.servers import ending, say, started
from outboxctl.core.schema.names import DOCUMENT, SOURCE
from outboxctl.drills.bench import fill, process
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.neighbours import Neighbours
from outboxctl.drills.bench.process import ProcessRun
from outboxctl.drills.bench.rig import Rig
from outboxctl.sink.delivery.bulk import FILTER, BulkAction, body
from outboxctl.sink.transport.request import demand

TITLE = "Verify"
NOTES = """\
- Whole commands, from start to exit; a command's own start takes some 0.5 s of each, the second look apart.
- In full: every row and every document is read and compared, version and content.
- The second look: neither side has changed since the first. It is the time of its reading alone, by its own
  word; the target is 1 % of the comparison in full.
- CPU is of the comparison in full.
"""
ROW = f"""
INSERT INTO {SOURCE} (id, entity_type, entity_id, library_id, text, snippet, rank_score, event_version)
SELECT gen_random_uuid(), (ARRAY['block', 'page', 'note'])[1 + n % 3], gen_random_uuid(), gen_random_uuid(),
    left(repeat(md5(n::text), :bytes / 32 + 1), :bytes), 'snippet ' || n, n / 7.0, 1 + n % 5
FROM generate_series(1, :entities) n
"""
DOCUMENTS = f"SELECT entity_type || ':' || entity_id, event_version, {DOCUMENT} FROM {SOURCE} s"
A_REQUEST = 5_000
OTHER_COLUMNS = 370  # bytes of JSON, about


@dataclass
class Measured:
    """A run a repetition."""

    full: list[ProcessRun] = field(default_factory=list)
    versions: list[ProcessRun] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def figures(self) -> list[BenchFigure]:
        return [
            BenchFigure("in full", "s", [run.wall for run in self.full], 60, digits=1),
            BenchFigure("versions only", "s", [run.wall for run in self.versions], digits=1),
            BenchFigure("second look", "s", self.second, self._hundredth(), digits=2),
            BenchFigure("own CPU", "s", [run.worker for run in self.full], digits=1),
            BenchFigure("PostgreSQL CPU", "s", [run.postgres for run in self.full], digits=1),
            BenchFigure("Elasticsearch CPU", "s", [run.engine for run in self.full], digits=1),
            BenchFigure("memory", "MB", [run.rss for run in (*self.full, *self.versions)], 200),
            BenchFigure("cores taken by others", "", self.others, digits=2),
        ]

    def _hundredth(self) -> float:
        return round(median(run.wall for run in self.full) / 100, 2)


def main() -> None:
    given = _arguments()
    with ending(), started() as rig:
        print(_benchmark(rig, given))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verify", description=__doc__)
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=600, help="JSON of a document, about")
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


def _benchmark(rig: Rig, given: argparse.Namespace) -> str:
    say(f"{given.entities:,} entities")
    _fill(rig, given.entities, given.bytes)
    say("warm-up")
    process.run(rig, "verify", "--full")
    into, neighbours = Measured(), Neighbours(rig)
    for number in range(1, given.repeat + 1):
        say(f"repetition {number} of {given.repeat}")
        into.versions.append(process.run(rig, "verify", "--full", "--versions-only"))
        into.full.append(process.run(rig, "verify", "--full"))
        into.second.append(process.answer(rig, "verify")[1]["seconds"])
        into.others.append(neighbours.cores())
        say(f"{into.full[-1].wall:.1f} s, {into.versions[-1].wall:.1f} s, {into.second[-1]:.2f} s")
    command = report.command("benchmarks.verify", vars(given))
    about = f"{given.entities:,} entities of some {given.bytes} bytes of JSON, {given.repeat} repetitions."
    on, figures = surroundings(rig.versions), into.figures()
    return report.write_section(TITLE, command=command, about=about, on=on, figures=figures, notes=NOTES)


def _fill(rig: Rig, count: int, size: int) -> None:
    """Rows, and the documents that a worker would have sent, in the order in which the rows came."""
    fill.reset(rig)
    with rig.database.begin() as connection:
        connection.execute(text(ROW), {"entities": count, "bytes": max(1, size - OTHER_COLUMNS)})
    fill.vacuum(rig)
    with rig.database.begin() as connection:
        connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")
        rows = connection.execution_options(stream_results=True).execute(text(DOCUMENTS))
        for some in rows.partitions(A_REQUEST):
            _send(rig, [BulkAction(*row) for row in some])
    rig.checkpoint()


def _send(rig: Rig, actions: list[BulkAction]) -> None:
    index, lines = rig.settings.elastic_index, body(actions)
    answer = demand(rig.client, "PUT", index, "_bulk", body=lines, filter_path=FILTER)
    assert not answer["errors"]


if __name__ == "__main__":
    main()
