"""What the triggers of two projections cost those who write to their tables."""

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter

import psutil
import psycopg

from benchmarks import processes, tables
from benchmarks.command import OTHERS, collected, figures, ratios, turns
from benchmarks.processes import BY
from benchmarks.report import WRITERS, Section
from benchmarks.rig import Rig
from outboxctl.core.schema.names import EVENTS
from outboxctl.net.urls import check_database_url
from outboxctl.sink.index import index_setup

SCHEMA = "bench_wares"
PARTITIONS = 4
PER_COMMIT = 100  # rows of a statement
KINDS = ("plain", "partitioned", "large")
TABLE = f"""
CREATE TABLE {SCHEMA}.{{table}} (id int PRIMARY KEY, name text NOT NULL, price int NOT NULL DEFAULT 1,
    note text NOT NULL, seen int NOT NULL DEFAULT 1) {{partitioned}};
ALTER TABLE {SCHEMA}.{{table}} ALTER note SET STORAGE {{storage}};
"""
PARTITION = f"""
CREATE TABLE {SCHEMA}.{{table}}_{{number}} PARTITION OF {SCHEMA}.{{table}}
    FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {{number}});
"""
BASKETS = f"""
CREATE TABLE {SCHEMA}.{{kind}}_baskets (id int PRIMARY KEY);
CREATE TABLE {SCHEMA}.{{kind}}_links (basket_id int, ware_id int, PRIMARY KEY (basket_id, ware_id));
CREATE INDEX ON {SCHEMA}.{{kind}}_links (ware_id);
CREATE VIEW {SCHEMA}.{{kind}}_documents AS SELECT w.id, w.name, w.price, w.note FROM {SCHEMA}.{{kind}} w;
CREATE VIEW {SCHEMA}.{{kind}}_basket_documents AS SELECT b.id,
    (SELECT json_agg(json_build_object('name', w.name, 'price', w.price, 'note', w.note) ORDER BY w.id)
        FROM {SCHEMA}.{{kind}}_links l JOIN {SCHEMA}.{{kind}} w ON w.id = l.ware_id
        WHERE l.basket_id = b.id) AS wares
    FROM {SCHEMA}.{{kind}}_baskets b;
"""
DECLARED = f"""
[projections.{{kind}}_ware]
root = "{SCHEMA}.{{kind}}"
key = "id"
document = "{SCHEMA}.{{kind}}_documents"
index = "{{ware}}"
[projections.{{kind}}_basket]
root = "{SCHEMA}.{{kind}}_baskets"
key = "id"
document = "{SCHEMA}.{{kind}}_basket_documents"
index = "{{basket}}"
[[projections.{{kind}}_basket.follow]]
table = "{SCHEMA}.{{kind}}_links"
key = "basket_id"
[[projections.{{kind}}_basket.follow]]
table = "{SCHEMA}.{{kind}}"
keys = "SELECT basket_id FROM {SCHEMA}.{{kind}}_links WHERE ware_id = :id"
"""
NAMES = ("ware", "basket")
INSERT = f"""
INSERT INTO {SCHEMA}.{{table}} (id, name, note)
SELECT n, 'ware ' || n, {{note}} FROM generate_series({{first}}, {{last}}) n
"""
IN = "WHERE id BETWEEN {first} AND {last}"
UNUSED = "UPDATE of an unused column"
CHANGES = {
    "INSERT": INSERT.replace("{note}", "repeat('word ', 120)"),
    "UPDATE": f"UPDATE {SCHEMA}.{{table}} SET price = price + 1 {IN}",
    UNUSED: f"UPDATE {SCHEMA}.{{table}} SET seen = seen + 1 {IN}",
    "DELETE": f"DELETE FROM {SCHEMA}.{{table}} {IN}",
}
LARGE = 65_536  # bytes of a value that documents use
TIMES = 3  # updates of all large rows, in a turn
SINGLE = {name: CHANGES[name] for name in ("INSERT", "UPDATE")}
CPU = ", PostgreSQL CPU"
HOW = ("with triggers", "bare")
Measure = Callable[[str], Mapping[str, float]]
NOTES = f"""\
- Each table is the root of one projection, and another's followed by `keys`; beside it is the same table
  without triggers. By one session, the one table and the other in turns; the ratio is that of each pair, and
  the first of a pair is the other one each time. No worker runs.
- Plain and partitioned: {PER_COMMIT} rows of some 650 bytes a commit; the partitioned one has
  {PARTITIONS} partitions, and each statement has rows of all. The column that no document uses: the same
  rows.
- Large rows: {LARGE:,} bytes in a column that documents use; all rows are updated in one statement, {TIMES}
  times, of a column that no document uses.
- Single rows: a statement and a commit each, `synchronous_commit` on. CPU: that of the session's own backend,
  with `synchronous_commit` off, since it is not the disk that is measured; added is the difference.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """All kinds in each repetition."""

    def repetition(number: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for kind in ("plain", "partitioned"):
            found |= _paired(kind, number, lambda table: _statements(rig, table, args.writes))
        found |= _paired("large", number, lambda table: large(rig, table, args.large))
        return found | _paired("single", number, lambda table: _single(rig, table, args.single, args.cpu))

    with declared(rig):
        values = collected(rig, args.repeat, repetition)
    about = f"{args.writes:,} rows of each kind, {args.large:,} large ones, {args.single:,} single ones"
    about = f"{about}, {args.repeat} repetitions; {_durability(rig)}."
    return Section(WRITERS, about, figures(_compared(values), _unit), NOTES)


def bare(kind: str) -> str:
    """The table without triggers."""
    return f"{kind}_bare"


@contextmanager
def declared(rig: Rig) -> Iterator[None]:
    """Both tables of every kind, and two projections on the one of them. Dropped at the end."""
    tables.execute(rig, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
    for kind in KINDS:
        for table in (kind, bare(kind)):
            _create(rig, kind, table)
        tables.execute(rig, BASKETS.format(kind=kind))
    file = rig.folder / "wares.toml"
    file.write_text("".join(_declaration(rig, kind) for kind in KINDS))
    processes.run(rig, "projection", "apply", str(file), *BY)
    try:
        yield
    finally:
        for kind in KINDS:
            for name in NAMES:
                processes.run(rig, "projection", "drop", f"{kind}_{name}", *BY)
                index_setup.remove(rig.client, _index(rig, kind, name))


def _create(rig: Rig, kind: str, table: str) -> None:
    partitioned = "PARTITION BY HASH (id)" if kind == "partitioned" else ""
    storage = "EXTERNAL" if kind == "large" else "EXTENDED"  # not compressed, so as large as it says
    tables.execute(rig, TABLE.format(table=table, storage=storage, partitioned=partitioned))
    for number in range(PARTITIONS if partitioned else 0):
        tables.execute(rig, PARTITION.format(table=table, number=number))


def _declaration(rig: Rig, kind: str) -> str:
    return DECLARED.format(kind=kind, **{name: _index(rig, kind, name) for name in NAMES})


def _index(rig: Rig, kind: str, name: str) -> str:
    return f"{kind}-{name}-of-{rig.settings.elastic_index}"


def _empty(rig: Rig, table: str) -> None:
    """No row in the table, no event, and no checkpoint that is due."""
    for each in (f"{SCHEMA}.{table}", EVENTS):  # the first has an event of its own
        tables.execute(rig, f"TRUNCATE {each}")
    tables.flush(rig)


def _paired(kind: str, number: int, measure: Measure) -> dict[str, float]:
    """What `measure` finds for a kind's table with triggers and for the bare one, by figure."""
    table = "plain" if kind == "single" else kind
    found: dict[str, float] = {}
    for how, each in turns(zip(HOW, (table, bare(table)), strict=True), number):
        found |= {f"{kind}: {name}, {how}": value for name, value in measure(each).items()}
    return found


def _statements(rig: Rig, table: str, count: int) -> dict[str, float]:
    """Rows a second of each kind of change, PER_COMMIT to a commit."""
    _empty(rig, table)
    return {name: PER_COMMIT * _rate(rig, _blocks(change, table, count)) for name, change in CHANGES.items()}


def _blocks(change: str, table: str, count: int) -> list[str]:
    firsts = range(1, count + 1, PER_COMMIT)
    return [change.format(table=table, first=first, last=first + PER_COMMIT - 1) for first in firsts]


def _rate(rig: Rig, statements: Sequence[str]) -> float:
    """Transactions a second, of one statement each."""
    began = perf_counter()
    for statement in statements:
        tables.execute(rig, statement)
    return len(statements) / (perf_counter() - began)


def large(rig: Rig, table: str, count: int) -> dict[str, float]:
    """Rows a second of an update of large rows, in one statement."""
    _empty(rig, table)
    note = f"repeat('x', {LARGE})"
    tables.execute(rig, INSERT.replace("{note}", note).format(table=table, first=1, last=count))
    rig.checkpoint()
    return {UNUSED: count * _rate(rig, [CHANGES[UNUSED].format(table=table, first=1, last=count)] * TIMES)}


def _single(rig: Rig, table: str, count: int, cpu: int) -> dict[str, float]:
    """Rows a second where each is committed by itself, and microseconds of the backend's CPU a row."""
    found: dict[str, float] = {}
    with psycopg.connect(check_database_url(rig.settings.require_database_url()), autocommit=True) as session:
        for on, rows in (("on", count), ("off", cpu)):
            _empty(rig, table)
            session.execute(f"SET synchronous_commit = {on}")
            for name, change in SINGLE.items():
                rate, spent = _one_by_one(session, change, table, rows)
                found |= {name: rate} if on == "on" else {f"{name}{CPU}": spent}
    return found


def _one_by_one(session: psycopg.Connection, change: str, table: str, rows: int) -> tuple[float, float]:
    """Rows a second, and microseconds of the backend's CPU a row."""
    backend = psutil.Process(session.info.backend_pid)
    began, before = perf_counter(), sum(backend.cpu_times()[:2])
    for number in range(1, rows + 1):
        session.execute(change.format(table=table, first=number, last=number).encode())
    seconds, spent = perf_counter() - began, sum(backend.cpu_times()[:2]) - before
    return rows / seconds, 1e6 * spent / rows


def _compared(values: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """The bare rates, and what each with triggers is against them; of CPU what is added."""
    found = dict[str, list[float]]()
    for name in (each.removesuffix(", bare") for each in values if each.endswith(", bare")):
        one, other = (values[f"{name}, {how}"] for how in HOW)
        found[f"{name}, bare"] = other
        if name.endswith(CPU):
            found[f"{name}, added"] = [a - b for a, b in zip(one, other, strict=True)]
        found[f"{name}, with/bare"] = ratios(one, other)
    return found | {OTHERS: values[OTHERS]}


def _unit(name: str) -> str:
    return "" if name.endswith("with/bare") else "us/row" if CPU in name else "rows/s"


def _durability(rig: Rig) -> str:
    """What a commit waits for."""
    with rig.database.begin() as connection:
        names = ("fsync", "synchronous_commit")
        return ", ".join(f"{n} {connection.exec_driver_sql(f'SHOW {n}').scalar_one()}" for n in names)
