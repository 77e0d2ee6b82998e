"""What it costs to compare both sides; six minutes with a million entities."""

from argparse import Namespace
from dataclasses import replace
from statistics import median

from sqlalchemy import text

from benchmarks import rows
from benchmarks.command import OTHERS, collected, filled, say
from benchmarks.processes import answer
from benchmarks.report import Section
from outboxctl.core.schema.names import DOCUMENT, SOURCE
from outboxctl.drills.bench import process, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.delivery.bulk import FILTER, BulkAction, body
from outboxctl.sink.transport.request import demand

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
FIGURES = (
    BenchFigure("in full", "s", [], 60, digits=1),
    BenchFigure("versions only", "s", [], digits=1),
    BenchFigure("second look", "s", [], digits=2),
    *(BenchFigure(f"{whose} CPU", "s", [], digits=1) for whose in ("own", "PostgreSQL", "Elasticsearch")),
    BenchFigure("memory", "MB", [], 200),
    BenchFigure(OTHERS, "", [], digits=2),
)
REQUEST_SIZE = 5_000
OTHER_COLUMNS = 370  # bytes of JSON, about


def run(rig: Rig, args: Namespace) -> Section:
    """All three comparisons in each repetition."""
    say(f"{args.entities:,} entities")
    _fill(rig, args.entities, max(1, args.bytes - OTHER_COLUMNS))
    say("warm-up")
    process.run(rig, "verify", "--full")
    values = collected(rig, args.repeat, lambda _number: _compare(rig))
    values["memory"] += values["memory of versions only"]
    hundredth = round(median(values["in full"]) / 100, 2)
    figures = [replace(f, target=hundredth if f.name == "second look" else f.target) for f in FIGURES]
    about = f"{args.entities:,} entities of some {args.bytes} bytes of JSON, {args.repeat} repetitions."
    return Section("Verify", about, filled(figures, values), NOTES)


def _compare(rig: Rig) -> dict[str, float]:
    versions = process.run(rig, "verify", "--full", "--versions-only")
    full = process.run(rig, "verify", "--full")
    return {
        "in full": full.wall,
        "versions only": versions.wall,
        "second look": answer(rig, "verify")[1]["seconds"],
        "own CPU": full.worker,
        "PostgreSQL CPU": full.postgres,
        "Elasticsearch CPU": full.engine,
        "memory": full.rss,
        "memory of versions only": versions.rss,
    }


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
