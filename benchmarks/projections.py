"""What a declared projection costs end to end: a view of one table against `search_index`, in turns."""

from argparse import Namespace

from benchmarks import processes, tables
from benchmarks.command import OTHERS, collected, ratios
from benchmarks.figure import BenchFigure
from benchmarks.processes import BY
from benchmarks.report import Section
from benchmarks.rig import Rig
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.sink.index import index_setup

TITLE = "Projections"
WARM_UP = 5_000  # events of the round that is not counted
TABLES = f"""
CREATE SCHEMA IF NOT EXISTS bench_items;
CREATE TABLE IF NOT EXISTS bench_items.groups (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE IF NOT EXISTS bench_items.items (LIKE {SOURCE}, group_id int, PRIMARY KEY (entity_id));
CREATE INDEX IF NOT EXISTS items_group ON bench_items.items (group_id);
CREATE OR REPLACE VIEW bench_items.documents AS
    SELECT i.id, i.entity_type, i.entity_id, i.library_id, i.text, i.snippet, i.rank_score, i.event_version,
        i.created_at, i.updated_at, g.name AS "group"
    FROM bench_items.items i LEFT JOIN bench_items.groups g ON g.id = i.group_id;
"""
DECLARED = """
[projections.item]
root = "bench_items.items"
key = "entity_id"
document = "bench_items.documents"
index = "{index}"
[[projections.item.follow]]
table = "bench_items.groups"
keys = "SELECT entity_id FROM bench_items.items WHERE group_id = :id"
"""
BOTH = ("projection, end to end", "search_index, end to end")
NOTES = f"""\
- End to end: as E of the section Pipeline, by turns for search_index and for a view of one table with the
  same columns and a looked-up name; the ratio is that of each pair.
- A round of {WARM_UP:,} events before all others does not count: the first requests to an engine are slow.
- What its triggers cost a writer is in "Writers beside two projections", a change with many documents behind
  it in "A million documents behind one row".
"""


def run(rig: Rig, args: Namespace) -> Section:
    """The repetitions, in turns."""
    tables.reset(rig)
    tables.execute(rig, TABLES)
    (rig.folder / "items.toml").write_text(DECLARED.format(index=_index(rig)))

    def both(events: int) -> dict[str, float]:
        built_in, _ = processes.fill_and_drain(rig, events, args.bytes)
        return {BOTH[1]: built_in, BOTH[0]: declared(rig, events, args.bytes)}

    both(min(WARM_UP, args.events))
    values = collected(rig, args.repeat, lambda _number: both(args.events))
    figures = [BenchFigure(name, "events/s", values[name]) for name in BOTH]
    ratio = ratios(*(values[name] for name in BOTH))
    figures.append(BenchFigure("projection/search_index", "", ratio, at_least=True, digits=2))
    figures.append(BenchFigure(OTHERS, "", values[OTHERS], digits=2))
    return Section(TITLE, f"{args.events:,} events of {args.bytes} bytes.", figures, NOTES)


def _index(rig: Rig) -> str:
    return f"items-of-{rig.settings.elastic_index}"


def declared(rig: Rig, events: int, size: int) -> float:
    """Events a second of the projection, from a new index; its events are written by its triggers."""
    index_setup.remove(rig.client, _index(rig))
    processes.answer(rig, "projection", "apply", str(rig.folder / "items.toml"), *BY)
    tables.entities(rig, events, size)
    tables.execute(rig, "TRUNCATE bench_items.items, bench_items.groups")
    tables.execute(rig, "INSERT INTO bench_items.groups VALUES (1, 'one')")
    tables.execute(rig, f"TRUNCATE {EVENTS}")
    tables.execute(rig, f"INSERT INTO bench_items.items SELECT s.*, 1 FROM {SOURCE} s")
    tables.flush(rig)
    ran = processes.drain(rig)
    processes.counted(rig, events, _index(rig))
    return processes.drain_rate(rig, events, ran)
