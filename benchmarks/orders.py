"""Orders whose products are found by `keys`, and notes beside them: two projections, and what writes to them.

Product n is in order n alone, so a change of a product is a follow event with one document behind it.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path
from time import sleep, time

from benchmarks import processes, shop
from benchmarks.beside import BY
from outboxctl.core.database import Database
from outboxctl.core.schema.names import EVENTS
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.rig import Rig
from outboxctl.sink.index import index_setup

SCHEMA = "bench_orders"
PER_COMMIT = 100  # rows of a writer's transaction
PATIENCE = 60.0  # seconds for what may be slow: what is not there by then is counted
LOOK, SHARE = 0.05, 0.05  # seconds between two searches, and at least this share of those since the start
TABLES = f"""
DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.products (id int PRIMARY KEY, name text NOT NULL, revision int NOT NULL DEFAULT 1);
CREATE TABLE {SCHEMA}.orders (id int PRIMARY KEY, customer text NOT NULL);
CREATE TABLE {SCHEMA}.lines (
    order_id int REFERENCES {SCHEMA}.orders, product_id int REFERENCES {SCHEMA}.products,
    quantity int NOT NULL DEFAULT 1, PRIMARY KEY (order_id, product_id));
CREATE TABLE {SCHEMA}.notes (id int PRIMARY KEY, content text NOT NULL);
CREATE VIEW {SCHEMA}.order_documents AS
    SELECT o.id, o.customer,
        (SELECT json_agg(json_build_object('name', p.name, 'revision', p.revision, 'quantity', l.quantity)
                ORDER BY p.id)
            FROM {SCHEMA}.lines l JOIN {SCHEMA}.products p ON p.id = l.product_id
            WHERE l.order_id = o.id) AS products
    FROM {SCHEMA}.orders o;
CREATE VIEW {SCHEMA}.note_documents AS SELECT n.id, n.content FROM {SCHEMA}.notes n;
"""
ROWS = f"""
INSERT INTO {SCHEMA}.products SELECT n, 'product ' || md5(n::text) FROM generate_series(1, {{count}}) n;
INSERT INTO {SCHEMA}.orders SELECT n, 'customer ' || md5(n::text) FROM generate_series(1, {{count}}) n;
INSERT INTO {SCHEMA}.lines SELECT n, n FROM generate_series(1, {{count}}) n;
CREATE INDEX ON {SCHEMA}.lines (product_id);
"""
DECLARED = """
[projections.order]
root = "{schema}.orders"
key = "id"
document = "{schema}.order_documents"
index = "{order}"
mapping = "orders.json"
[[projections.order.follow]]
table = "{schema}.lines"
key = "order_id"
[[projections.order.follow]]
table = "{schema}.products"
keys = "SELECT order_id FROM {schema}.lines WHERE product_id = :id"

[projections.note]
root = "{schema}.notes"
key = "id"
document = "{schema}.note_documents"
index = "{note}"
"""
# What of a json column is searched for, a mapping has to say.
MAPPING = {"properties": {"products": {"properties": {"revision": {"type": "integer"}}}}}
NAMES = ("order", "note")
CHANGE = f"UPDATE {SCHEMA}.products SET revision = revision + 1 WHERE id BETWEEN {{first}} AND {{last}}"
REVISION = f"SELECT revision FROM {SCHEMA}.products WHERE id = 1"
WAITING = f"SELECT count(*) FROM {EVENTS} WHERE follow IS NOT NULL AND status IN ('pending', 'processing')"


def index_of(rig: Rig, name: str) -> str:
    """The alias of a projection's index."""
    return f"{name}-of-{rig.settings.elastic_index}"


@contextmanager
def declared(rig: Rig, count: int) -> Iterator[None]:
    """So many products, each in an order of its own, and both projections in force. Dropped at the end."""
    for statements in (TABLES, ROWS.format(count=count)):
        tables.execute(rig, statements)
    with rig.database.apart() as session:
        for name in ("products", "orders", "lines", "notes"):
            session.execute(f"VACUUM (ANALYZE) {SCHEMA}.{name}".encode())
    (rig.folder / "orders.json").write_text(json.dumps({"mappings": MAPPING}))
    _file(rig).write_text(DECLARED.format(schema=SCHEMA, **{name: index_of(rig, name) for name in NAMES}))
    fresh(rig)
    try:
        yield
    finally:
        for name in NAMES:
            processes.answer(rig, "projection", "drop", name, *BY)
            index_setup.remove(rig.client, index_of(rig, name))


def fresh(rig: Rig) -> None:
    """New, empty indexes and no events; `apply` makes the indexes, and a first fill is not measured here."""
    for name in NAMES:
        index_setup.remove(rig.client, index_of(rig, name))
    processes.answer(rig, "projection", "apply", str(_file(rig)), *BY)
    tables.execute(rig, f"TRUNCATE {EVENTS}")
    tables.flush(rig)


def _file(rig: Rig) -> Path:
    return rig.folder / "orders.toml"


def change(rig: Rig, count: int) -> None:
    """Change the first `count` products in one statement."""
    tables.execute(rig, CHANGE.format(first=1, last=count))


def changed(rig: Rig, count: int) -> tuple[float, float]:
    """Change them PER_COMMIT to a commit, in a process of its own: when it began, and when it had ended."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_change, rig.settings.require_database_url(), count).result()


def _change(url: str, count: int) -> tuple[float, float]:
    with closing(Database(url)) as database:
        with database.begin():
            began = time()
        for first in range(1, count + 1, PER_COMMIT):
            last = min(first + PER_COMMIT - 1, count)
            with database.begin() as connection:
                connection.exec_driver_sql(CHANGE.format(first=first, last=last))
        return began, time()


def revised(rig: Rig, revision: int) -> int:
    """How many orders a search finds with this revision of their product, or a later one."""
    query = {"range": {"products.revision": {"gte": revision}}}
    return index_setup.count(rig.client, index_of(rig, "order"), query)


def wrong(rig: Rig, count: int) -> int:
    """How many of the first `count` orders have no document, or one that is not their row."""
    query = f"SELECT to_json(d)::text FROM {SCHEMA}.order_documents d WHERE id <= {count}"
    with rig.database.begin() as connection:
        expected = [json.loads(row) for row in connection.exec_driver_sql(query).scalars()]
    index_setup.count(rig.client, index := index_of(rig, "order"))  # refreshes
    there = {source["id"]: source for source in shop.sources(rig, index)}
    return sum(there.get(row["id"]) != row for row in expected)


def until(holds: Callable[[], object], began: float, patience: float = PATIENCE) -> float:
    """Seconds since `began` until it holds, or `patience`, whichever comes first."""
    while not holds():
        seconds = time() - began
        if seconds > patience:
            return patience
        sleep(max(LOOK, SHARE * seconds))
    return time() - began
