"""What a declared projection costs: end to end, its writers, and one change with many documents behind it."""

from argparse import Namespace
from collections.abc import Iterator
from statistics import median
from time import perf_counter

from benchmarks import expander, processes, rows
from benchmarks.command import OTHERS, collected, ratios
from benchmarks.report import Section
from outboxctl.drills.bench import process, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.index import index_setup

TITLE = "Projections"
PER_COMMIT = 100  # rows of a writer's transaction
WARM_UP = 5_000  # events of the round that is not counted
BY = ("--by", "bench", "--reason", "bench", "--yes")
TABLES = """
CREATE SCHEMA IF NOT EXISTS bench_shop;
CREATE TABLE IF NOT EXISTS bench_shop.groups (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE IF NOT EXISTS bench_shop.items (LIKE search_index, group_id int);
ALTER TABLE bench_shop.items DROP CONSTRAINT IF EXISTS items_pkey, ADD PRIMARY KEY (entity_id);
CREATE INDEX IF NOT EXISTS items_group ON bench_shop.items (group_id);
CREATE OR REPLACE VIEW bench_shop.documents AS
    SELECT i.id, i.entity_type, i.entity_id, i.library_id, i.text, i.snippet, i.rank_score, i.event_version,
        i.created_at, i.updated_at, g.name AS "group"
    FROM bench_shop.items i LEFT JOIN bench_shop.groups g ON g.id = i.group_id;
CREATE TABLE IF NOT EXISTS bench_shop.bare (LIKE bench_shop.items INCLUDING INDEXES);
"""
DECLARED = """
[projections.item]
root = "bench_shop.items"
key = "entity_id"
document = "bench_shop.documents"
index = "{index}"
[[projections.item.follow]]
table = "bench_shop.groups"
keys = "SELECT entity_id FROM bench_shop.items WHERE group_id = :id"
"""
COPY = "INSERT INTO bench_shop.items SELECT s.*, 1 FROM {source} s"
WRITE = """
INSERT INTO bench_shop.{table}
SELECT gen_random_uuid(), 'block', gen_random_uuid(), NULL, repeat('word ', 120), NULL, 1, 1, now(), now(),
    n %% 100
FROM generate_series(1, {rows}) n
"""
# Each changes PER_COMMIT rows of PER_COMMIT ** 2.
CHANGES = {
    "updates": "UPDATE bench_shop.{table} SET event_version = event_version + 1 WHERE group_id = {number}",
    "deletes": "DELETE FROM bench_shop.{table} WHERE group_id = {number}",
}
SINGLE = 2_000  # transactions of one row
WRITER = ("writer", "writer's updates", "writer's deletes", "writer of single rows")
NOTES = f"""\
- End to end: as E of the section Pipeline, by turns for search_index and for a view of one table with the
  same columns and a looked-up name; the ratio is that of each pair.
- A writer: {PER_COMMIT} rows of some 700 bytes a transaction, one session, into a table with the triggers of
  a projection and into the same table without; the ratio is that of each pair, and the first of a pair is
  the other one each time. Updates and deletes: as many rows a transaction; single rows: an INSERT each.
- Fan-out: one row is renamed that has all documents behind it. The writer's transaction is timed from BEGIN
  to after COMMIT. Expanded: the transactions of the worker's expander alone, which find the keys and write
  their events; between them all that wait are claimed, as a lane does, which is not timed. Delivered: from
  the worker's line "worker started" to its last settle, expansion included.
- A round of {WARM_UP:,} events before all others does not count: the first requests to an engine are slow.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """The repetitions, in turns."""
    _declare(rig)
    few = min(WARM_UP, args.events)
    process.fill_and_drain(rig, few, args.bytes, settle_ms=0)
    _declared(rig, few, args.bytes)

    def repetition(number: int) -> dict[str, float]:
        built_in, _ = process.fill_and_drain(rig, args.events, args.bytes, settle_ms=0)
        declared = _declared(rig, args.events, args.bytes)
        writers = _writers(rig, args.writes, swapped=number % 2 == 0)
        change, fan_out = _fan_out(rig, args.events, args.bytes)
        return {
            "search_index, end to end": built_in,
            "projection, end to end": declared,
            **writers,
            "the change's transaction": change,
            "expanded": _expanded(rig, args.events, args.bytes),
            "documents behind it, delivered": fan_out,
        }

    values = collected(rig, args.repeat, repetition)
    both = ("projection, end to end", "search_index, end to end")
    pairs = {f"{name}, with/without": (f"{name}, with triggers", f"{name}, bare") for name in WRITER}
    figures = [_figure(name, each) for name, each in values.items()]
    for name, (one, other) in ({"projection/search_index": both} | pairs).items():
        figures.append(BenchFigure(name, "", ratios(values[one], values[other]), at_least=True, digits=2))
    about = f"{args.events:,} events of {args.bytes} bytes, {args.writes:,} rows written by each writer"
    return Section(TITLE, f"{about}; {args.repeat} repetitions.", figures, NOTES)


def _figure(name: str, values: list[float]) -> BenchFigure:
    units = {"the change's transaction": "ms", OTHERS: ""}
    if name in units:
        return BenchFigure(name, units[name], values, digits=2)
    return BenchFigure(name, "rows/s" if "writer" in name else "events/s", values)


def _declare(rig: Rig) -> None:
    tables.reset(rig)
    tables.execute(rig, TABLES)
    file = rig.folder / "bench.toml"
    file.write_text(DECLARED.format(index=_index(rig)))
    processes.answer(rig, "projection", "apply", str(file), *BY)


def _index(rig: Rig) -> str:
    return f"items-of-{rig.settings.elastic_index}"  # `tables.reset` deletes every index that begins with it


def _fill(rig: Rig, events: int, size: int) -> None:
    """Rows of the projection with their events, as its triggers write them, and nothing else to deliver."""
    rows.entities(rig, events, size)
    tables.execute(rig, "TRUNCATE bench_shop.items, bench_shop.groups")
    rows.execute(rig, rows.TRUNCATE)
    tables.execute(rig, "INSERT INTO bench_shop.groups VALUES (1, 'one')")
    rows.execute(rig, rows.TRUNCATE)
    rows.execute(rig, COPY)
    tables.vacuum(rig.database)
    rig.checkpoint()


def _declared(rig: Rig, events: int, size: int) -> float:
    """Events a second of a projection of one table, from a new index."""
    index_setup.remove(rig.client, _index(rig))
    processes.answer(rig, "projection", "apply", str(rig.folder / "bench.toml"), *BY)
    _fill(rig, events, size)
    ran = process.drain(rig)
    must(tables.done(rig) == events, f"{tables.done(rig)} of {events} events are done")
    documents = index_setup.count(rig.client, _index(rig))
    must(documents == events, f"{documents} documents for {events} events")
    return process.drain_rate(rig, events, ran)


def _writers(rig: Rig, number: int, *, swapped: bool) -> dict[str, float]:
    """Rows a second of one session with and without the triggers, in turns."""
    tables_ = {"bare": "bare", "with triggers": "items"}
    rates: dict[str, float] = {}
    for how in sorted(tables_, reverse=swapped):
        for name, rate in zip(WRITER, _written(rig, tables_[how], number), strict=True):
            rates[f"{name}, {how}"] = rate
    return rates


def _written(rig: Rig, table: str, number: int) -> Iterator[float]:
    """Rows a second of each kind of writer."""
    insert = WRITE.format(table=table, rows=PER_COMMIT)
    _empty(rig, table)
    yield PER_COMMIT * _rate(rig, [insert] * (number // PER_COMMIT))
    _empty(rig, table)
    tables.execute(rig, WRITE.format(table=table, rows=PER_COMMIT**2))
    for change in CHANGES.values():
        rig.checkpoint()
        statements = [change.format(table=table, number=number) for number in range(PER_COMMIT)]
        yield PER_COMMIT * _rate(rig, statements)
    yield _rate(rig, [WRITE.format(table=table, rows=1)] * SINGLE)


def _empty(rig: Rig, table: str) -> None:
    tables.execute(rig, f"TRUNCATE bench_shop.{table}")
    rows.execute(rig, rows.TRUNCATE)
    rig.checkpoint()


def _rate(rig: Rig, statements: list[str]) -> float:
    """Transactions a second, of one statement each."""
    began = perf_counter()
    for statement in statements:
        tables.execute(rig, statement)
    return len(statements) / (perf_counter() - began)


def _expanded(rig: Rig, events: int, size: int) -> float:
    """Key events a second that the worker's expander writes, if its pages are claimed at once."""
    _fill(rig, events, size)
    rows.execute(rig, rows.TRUNCATE)
    tables.execute(rig, "UPDATE bench_shop.groups SET name = 'expanded'")
    seconds = expander.seconds_alone(rig)
    must(tables.done(rig) == events + 1, f"{tables.done(rig)} events of {events} documents")
    return events / seconds


def _fan_out(rig: Rig, events: int, size: int) -> tuple[float, float]:
    """Milliseconds of a change with so many documents behind it, and these delivered a second."""
    _fill(rig, events, size)
    rows.execute(rig, rows.TRUNCATE)
    times = []
    for number in range(5):
        began = perf_counter()
        tables.execute(rig, f"UPDATE bench_shop.groups SET name = 'name {number}'")
        times.append(1_000 * (perf_counter() - began))
    ran = process.drain(rig)
    return median(times), process.drain_rate(rig, events, ran)
