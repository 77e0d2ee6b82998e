"""Tables with the triggers of two projections, the same tables without, and what writes to them."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import processes
from benchmarks.beside import BY
from outboxctl.core.schema.names import EVENTS
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.rig import Rig
from outboxctl.sink.index import index_setup

SCHEMA = "bench_wares"
PARTITIONS = 4
PER_COMMIT = 100  # rows of a statement
KINDS = ("plain", "partitioned", "large")
TABLE = """
CREATE TABLE {schema}.{table} (id int PRIMARY KEY, name text NOT NULL, price int NOT NULL DEFAULT 1,
    note text NOT NULL, seen int NOT NULL DEFAULT 1) {partitioned};
ALTER TABLE {schema}.{table} ALTER note SET STORAGE {storage};
"""
PARTITION = """
CREATE TABLE {schema}.{table}_{number} PARTITION OF {schema}.{table}
    FOR VALUES WITH (MODULUS {modulus}, REMAINDER {number});
"""
BASKETS = """
CREATE TABLE {schema}.{kind}_baskets (id int PRIMARY KEY);
CREATE TABLE {schema}.{kind}_basket_wares (basket_id int, ware_id int, PRIMARY KEY (basket_id, ware_id));
CREATE INDEX ON {schema}.{kind}_basket_wares (ware_id);
CREATE VIEW {schema}.{kind}_documents AS SELECT w.id, w.name, w.price, w.note FROM {schema}.{kind} w;
CREATE VIEW {schema}.{kind}_basket_documents AS SELECT b.id,
    (SELECT json_agg(json_build_object('name', w.name, 'price', w.price, 'note', w.note) ORDER BY w.id)
        FROM {schema}.{kind}_basket_wares l JOIN {schema}.{kind} w ON w.id = l.ware_id
        WHERE l.basket_id = b.id) AS wares
    FROM {schema}.{kind}_baskets b;
"""
DECLARED = """
[projections.{kind}_ware]
root = "{schema}.{kind}"
key = "id"
document = "{schema}.{kind}_documents"
index = "{ware}"
[projections.{kind}_basket]
root = "{schema}.{kind}_baskets"
key = "id"
document = "{schema}.{kind}_basket_documents"
index = "{basket}"
[[projections.{kind}_basket.follow]]
table = "{schema}.{kind}_basket_wares"
key = "basket_id"
[[projections.{kind}_basket.follow]]
table = "{schema}.{kind}"
keys = "SELECT basket_id FROM {schema}.{kind}_basket_wares WHERE ware_id = :id"
"""
NAMES = ("ware", "basket")
NOTE = "repeat('word ', 120)"
INSERT = f"""
INSERT INTO {SCHEMA}.{{table}} (id, name, note)
SELECT n, 'ware ' || n, {{note}} FROM generate_series({{first}}, {{last}}) n
"""
IN = "WHERE id BETWEEN {first} AND {last}"
CHANGES = {
    "INSERT": INSERT.replace("{note}", NOTE),
    "UPDATE": f"UPDATE {SCHEMA}.{{table}} SET price = price + 1 {IN}",
    "UPDATE of an unused column": f"UPDATE {SCHEMA}.{{table}} SET seen = seen + 1 {IN}",
    "DELETE": f"DELETE FROM {SCHEMA}.{{table}} {IN}",
}


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
        tables.execute(rig, BASKETS.format(schema=SCHEMA, kind=kind))
    file = rig.folder / "wares.toml"
    file.write_text("".join(_declaration(rig, kind) for kind in KINDS))
    processes.answer(rig, "projection", "apply", str(file), *BY)
    try:
        yield
    finally:
        for kind in KINDS:
            for name in NAMES:
                processes.answer(rig, "projection", "drop", f"{kind}_{name}", *BY)
                index_setup.remove(rig.client, _index(rig, kind, name))


def empty(rig: Rig, table: str) -> None:
    """No row in the table, no event, and no checkpoint that is due."""
    for each in (f"{SCHEMA}.{table}", EVENTS):  # the first has an event of its own
        tables.execute(rig, f"TRUNCATE {each}")
    tables.flush(rig)


def _create(rig: Rig, kind: str, table: str) -> None:
    partitions = PARTITIONS if kind == "partitioned" else 0
    partitioned = "PARTITION BY HASH (id)" if partitions else ""
    storage = "EXTERNAL" if kind == "large" else "EXTENDED"  # not compressed, so as large as it says
    values = {"schema": SCHEMA, "table": table, "storage": storage, "partitioned": partitioned}
    tables.execute(rig, TABLE.format(**values))
    for number in range(partitions):
        tables.execute(rig, PARTITION.format(**values, number=number, modulus=partitions))


def _declaration(rig: Rig, kind: str) -> str:
    return DECLARED.format(schema=SCHEMA, kind=kind, **{name: _index(rig, kind, name) for name in NAMES})


def _index(rig: Rig, kind: str, name: str) -> str:
    return f"{kind}-{name}-of-{rig.settings.elastic_index}"
