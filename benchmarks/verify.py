"""`python -m benchmarks.verify`: what it costs to compare both sides; six minutes with a million entities."""

from argparse import Namespace
from statistics import median

from sqlalchemy import text

from benchmarks import rows
from benchmarks.command import main
from benchmarks.processes import answer
from benchmarks.report import Section
from benchmarks.servers import say
from outboxctl.core.schema.names import DOCUMENT, SOURCE
from outboxctl.drills.bench import process, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import Neighbours
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.delivery.bulk import FILTER, BulkAction, body
from outboxctl.sink.transport.request import demand

OPTIONS = {"entities": (1_000_000, ""), "bytes": (600, "JSON of a document, about"), "repeat": (3, "")}
NOTES = """\
- Whole commands, from start to exit; a command's own start takes some 0.5 s of each, the second run apart.
- In full: every row and every document is read and compared, version and content.
- The second look: neither side has changed since the first. It is the time of its reading alone, as it
  reports it; the target is 1 % of the comparison in full.
- CPU is of the comparison in full.
"""
ROWS = """
INSERT INTO {source} (id, entity_type, entity_id, library_id, text, snippet, rank_score, event_version)
SELECT gen_random_uuid(), (ARRAY['block', 'page', 'note'])[1 + n % 3], gen_random_uuid(), gen_random_uuid(),
    left(repeat(md5(n::text), {size} / 32 + 1), {size}), 'snippet ' || n, n / 7.0, 1 + n % 5
FROM generate_series(1, {entities}) n
"""
DOCUMENTS = text(f"SELECT entity_type || ':' || entity_id, event_version, {DOCUMENT} FROM {SOURCE} s")
REQUEST_SIZE = 5_000
OTHER_COLUMNS = 370  # bytes of JSON, about


def measure(rig: Rig, args: Namespace) -> Section:
    """All three comparisons in each repetition."""
    say(f"{args.entities:,} entities")
    _fill(rig, args.entities, max(1, args.bytes - OTHER_COLUMNS))
    say("warm-up")
    process.run(rig, "verify", "--full")
    full, versions, second, others, neighbours = [], [], [], [], Neighbours(rig)
    for number in range(1, args.repeat + 1):
        versions.append(process.run(rig, "verify", "--full", "--versions-only"))
        full.append(process.run(rig, "verify", "--full"))
        second.append(answer(rig, "verify")[1]["seconds"])
        others.append(neighbours.cores())
        shown = f"{full[-1].wall:.1f} s, versions {versions[-1].wall:.1f} s, second look {second[-1]:.2f} s"
        say(f"repetition {number} of {args.repeat}: {shown}")
    hundredth = round(median(run.wall for run in full) / 100, 2)
    figures = [
        BenchFigure("in full", "s", [run.wall for run in full], 60, digits=1),
        BenchFigure("versions only", "s", [run.wall for run in versions], digits=1),
        BenchFigure("second look", "s", second, hundredth, digits=2),
        BenchFigure("own CPU", "s", [run.worker for run in full], digits=1),
        BenchFigure("PostgreSQL CPU", "s", [run.postgres for run in full], digits=1),
        BenchFigure("Elasticsearch CPU", "s", [run.engine for run in full], digits=1),
        BenchFigure("memory", "MB", [run.rss for run in (*full, *versions)], 200),
        BenchFigure("cores taken by others", "", others, digits=2),
    ]
    about = f"{args.entities:,} entities of some {args.bytes} bytes of JSON, {args.repeat} repetitions."
    return Section("Verify", about, figures, NOTES)


def _fill(rig: Rig, count: int, size: int) -> None:
    """Rows, and the documents that a worker would have sent, in the order in which the rows came."""
    tables.reset(rig)
    rows.execute(rig, ROWS, entities=count, size=size)
    tables.vacuum(rig.database)
    with rig.database.begin() as connection:
        connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")
        documents = connection.execution_options(stream_results=True).execute(DOCUMENTS)
        for some in documents.partitions(REQUEST_SIZE):
            lines = body([BulkAction(*row) for row in some])
            index = rig.settings.elastic_index
            answered = demand(rig.client, "PUT", index, "_bulk", body=lines, filter_path=FILTER)
            must(not answered["errors"], "a document was refused")
    rig.checkpoint()


if __name__ == "__main__":
    main("verify", __doc__, OPTIONS, measure)
