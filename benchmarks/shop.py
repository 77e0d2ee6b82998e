"""Products with parts and a category: a projection, and what writes to its tables.

With as many categories as products, product n alone has category n: a change of a category is then a follow
event with one document behind it. With one category it has all documents behind it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from random import Random
from time import sleep, time
from typing import Any

from benchmarks import processes, tables
from benchmarks.processes import BY, wait_until
from benchmarks.rig import Rig, must
from outboxctl.core.database import Database
from outboxctl.core.schema.names import EVENTS
from outboxctl.sink.index import index_setup
from outboxctl.sink.transport.request import request

SCHEMA = "bench_shop"
PARTS, CATEGORIES = 5, 100  # parts a product
PER_COMMIT = 100  # rows of a writer's transaction
PATIENCE = 1_200.0  # seconds
PAGE = 5_000  # documents
LOOK, SHARE = 0.05, 0.05  # seconds between two searches, and at least this share of those since the start
QUIET = 15.0  # seconds without a write after which none is expected
PAUSE = 0.15  # seconds without a write after which a change is taken as written
TABLES = f"""
DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.categories (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE {SCHEMA}.products (
    id bigint PRIMARY KEY, name text NOT NULL, category_id int NOT NULL REFERENCES {SCHEMA}.categories);
CREATE TABLE {SCHEMA}.parts (
    id bigint PRIMARY KEY, product_id bigint NOT NULL REFERENCES {SCHEMA}.products,
    sku text NOT NULL, note text NOT NULL, revision int NOT NULL DEFAULT 1);
CREATE VIEW {SCHEMA}.documents AS
    SELECT p.id, p.name, c.name AS category,
        (SELECT coalesce(json_agg(json_build_object('id', a.id, 'sku', a.sku, 'note', a.note,
            'revision', a.revision) ORDER BY a.id), '[]')
            FROM {SCHEMA}.parts a WHERE a.product_id = p.id) AS parts
    FROM {SCHEMA}.products p JOIN {SCHEMA}.categories c ON c.id = p.category_id;
"""
NOTE = "md5({} || ':' || {})"
ROWS = f"""
INSERT INTO {SCHEMA}.categories SELECT n, 'category ' || n FROM generate_series(1, {{categories}}) n;
INSERT INTO {SCHEMA}.products SELECT n, 'product ' || md5(n::text) || repeat(' of words', 24),
    1 + (n - 1) %% {{categories}}
    FROM generate_series(1, {{products}}) n;
INSERT INTO {SCHEMA}.parts SELECT n, 1 + (n - 1) / {PARTS}, 'sku-' || n, {NOTE.format("n", "1")}
    FROM generate_series(1, {{parts}} * {{products}}) n;
CREATE INDEX ON {SCHEMA}.products (category_id, id);
CREATE INDEX ON {SCHEMA}.parts (product_id);
"""
NAME = "product"
DECLARED = f"""
[projections.product]
root = "{SCHEMA}.products"
key = "id"
document = "{SCHEMA}.documents"
index = "{{index}}"
mapping = "shop.json"
[[projections.product.follow]]
table = "{SCHEMA}.parts"
key = "product_id"
[[projections.product.follow]]
table = "{SCHEMA}.categories"
keys = "SELECT id FROM {SCHEMA}.products WHERE category_id = :id"
"""
FIELDS = {"id": {"type": "long"}, "sku": {"type": "keyword"}, "note": {"type": "text"}}
KEYS = {name: {"properties": {"id": {"type": "long"}}} for name in ("products", "parts", "categories")}
MAPPINGS: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        "id": {"type": "long"},
        "name": {"type": "text"},
        "category": {"type": "keyword"},
        "parts": {"properties": FIELDS | {"revision": {"type": "integer"}}},
        "_meta": {"properties": KEYS},  # where pgsync keeps keys; outboxctl's documents have none
    },
}
CHANGE = f"""
UPDATE {SCHEMA}.parts SET note = {NOTE.format("id", "revision + 1")}, revision = revision + 1
WHERE id = ANY (%(ids)s)
"""
PART_IDS = f"SELECT id FROM {SCHEMA}.parts ORDER BY id LIMIT {{}}"
# Each part has its second revision.
UPDATED = {
    "bool": {"must_not": [{"term": {"parts.revision": 1}}], "filter": [{"term": {"parts.revision": 2}}]}
}
NEW = 1_000_000_000  # added to the id of what a case adds
# Each on products of its own; what comes second follows as soon as the index has the first.
SINGLE = f"WHERE product_id BETWEEN {{first}} AND {{last}} AND id %% {PARTS} = 0"
CASES = {
    "product added, then its part changed": (
        f"INSERT INTO {SCHEMA}.products SELECT {NEW} + id, name, category_id FROM {SCHEMA}.products"
        f" WHERE id BETWEEN {{first}} AND {{last}}; INSERT INTO {SCHEMA}.parts"
        f" SELECT {NEW} + id, {NEW} + product_id, sku, note FROM {SCHEMA}.parts {SINGLE}",
        f"UPDATE {SCHEMA}.parts SET note = 'later' WHERE id > {NEW}",
    ),
    "category replaced, then its name changed": (
        f"INSERT INTO {SCHEMA}.categories VALUES ({NEW}, 'new'); UPDATE {SCHEMA}.products"
        f" SET category_id = {NEW} WHERE id BETWEEN {{first}} AND {{last}}",
        f"UPDATE {SCHEMA}.categories SET name = 'later' WHERE id = {NEW}",
    ),
    "part moved to another product": (
        f"UPDATE {SCHEMA}.parts SET product_id = {{first}} + {{last}} - product_id {SINGLE}",
    ),
    "part deleted": (f"DELETE FROM {SCHEMA}.parts {SINGLE}",),
}
LENGTHEN = f"UPDATE {SCHEMA}.categories SET name = name || '.' WHERE id BETWEEN {{first}} AND {{last}}"
WAITING = f"SELECT count(*) FROM {EVENTS} WHERE follow IS NOT NULL AND status IN ('pending', 'processing')"


def index_of(rig: Rig) -> str:
    """The alias of the projection's index."""
    return f"{NAME}-of-{rig.settings.elastic_index}"


def fill(rig: Rig, products: int, *, categories: int = CATEGORIES, parts: int = PARTS) -> None:
    """Make the tables anew, with rows and without triggers."""
    values = {"products": products, "categories": categories, "parts": parts}
    for statements in (TABLES, ROWS.format(**values)):
        tables.execute(rig, statements)
    tables.vacuum(rig, *(f"{SCHEMA}.{name}" for name in ("categories", "products", "parts")))
    rig.checkpoint()


@contextmanager
def declared(rig: Rig) -> Iterator[None]:
    """The projection in force, with an empty index and without events. Dropped at the end."""
    (rig.folder / "shop.json").write_text(json.dumps({"mappings": MAPPINGS}))
    file = rig.folder / "shop.toml"
    file.write_text(DECLARED.format(index=index_of(rig)))
    fresh(rig)
    try:
        yield
    finally:
        processes.run(rig, "projection", "drop", NAME, *BY)
        index_setup.remove(rig.client, index_of(rig))


def fresh(rig: Rig) -> None:
    """A new, empty index and no events; `apply` makes the index."""
    index_setup.remove(rig.client, index_of(rig))
    processes.run(rig, "projection", "apply", str(rig.folder / "shop.toml"), *BY)
    tables.execute(rig, f"TRUNCATE {EVENTS}")
    tables.flush(rig)


def rename(rig: Rig, count: int) -> None:
    """Change the names of the first `count` categories in one statement."""
    tables.execute(rig, LENGTHEN.format(first=1, last=count))


def elsewhere(act: Callable[..., Any], *args: object) -> Any:
    """Carry out `act` in a process of its own; what it returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(act, *args).result(PATIENCE)


def updated(rig: Rig, statement: str, ids: str) -> tuple[float, float]:
    """Update every row once, in a process of its own: when it began, and when its last commit was done.

    The rows are those of the query `ids`.
    """
    url = rig.settings.require_database_url()
    found: tuple[float, float] = elsewhere(_update, url, statement, ids)
    return found


def _update(url: str, statement: str, ids: str) -> tuple[float, float]:
    rng = Random(1)  # noqa: S311 - test data
    with closing(Database(url)) as database:
        with database.begin() as connection:
            rows = list(connection.exec_driver_sql(ids).scalars())
        rng.shuffle(rows)
        began = time()
        for start in range(0, len(rows), PER_COMMIT):
            with database.begin() as connection:
                connection.exec_driver_sql(statement, {"ids": rows[start : start + PER_COMMIT]})
        return began, time()


def change(rig: Rig, index: str, products: int) -> None:
    """Make the changes of CASES, each on its share of the products, and wait for the end of the writes."""
    for case, statements in enumerate(CASES.values()):
        first, last = share(case, products)
        for statement in statements:
            before = written(rig, index)
            tables.execute(rig, statement.format(first=first, last=last))
            if statement != statements[-1]:
                wait_quiet(rig, index, PAUSE, more_than=before)
    wait_quiet(rig, index, QUIET)


def share(case: int, products: int) -> tuple[int, int]:
    """The first and the last product of a case; a quarter of the products in all cases."""
    each = products // len(CASES) // 4
    return case * each + 1, (case + 1) * each


def written(rig: Rig, index: str) -> int:
    """Documents written so far, a second version counted again; not refreshed."""
    stats = request(rig.client, "GET", index, "_stats", "indexing")
    return int(stats["_all"]["primaries"]["indexing"]["index_total"])


def found_at(rig: Rig, index: str, count: int, ended: float, query: Mapping[str, Any]) -> float:
    """When a search found so many documents that match; or the last write, where it never does."""
    last, writes = time(), -1
    while index_setup.count(rig.client, index, query) < count:
        now, so_far = time(), written(rig, index)
        last, writes = (now, so_far) if so_far > writes else (last, writes)
        must(now - ended < PATIENCE, f"the updates were not in {index} after {PATIENCE:g} s")
        if now - last > QUIET:
            return last
        sleep(max(LOOK, SHARE * (now - ended)))
    return time()


def wait_quiet(rig: Rig, index: str, seconds: float, *, more_than: int = -1) -> float:
    """Wait until more than so many were written, and then none for so long; when the last one was."""
    last: list[float] = [time(), written(rig, index)]

    def quiet() -> bool:
        if (writes := written(rig, index)) > last[1]:
            last[:] = [time(), writes]
        return last[1] > more_than and time() - last[0] > seconds

    wait_until(quiet, f"an end of the writes to {index}", LOOK, patience=PATIENCE)
    return last[0]


def until(holds: Callable[[], object], began: float, patience: float) -> float:
    """Seconds since `began` until it holds, or `patience`, whichever comes first."""
    while not holds():
        seconds = time() - began
        if seconds > patience:
            return patience
        sleep(max(LOOK, SHARE * seconds))
    return time() - began


def wrong(rig: Rig, index: str) -> set[int]:
    """The products whose document is missing, extra or other than the view's row; parts in any order."""
    return {id_ for each in differences(rig, index).values() for id_ in each}


def differences(rig: Rig, index: str) -> dict[str, set[int]]:
    """The same, by what is wrong."""
    with rig.database.begin() as connection:
        rows = connection.exec_driver_sql(f"SELECT to_json(d)::text FROM {SCHEMA}.documents d").scalars()
        expected = {row["id"]: row for row in map(json.loads, rows)}
    index_setup.count(rig.client, index)  # refreshes
    there = _documents(rig, index)
    both = expected.keys() & there.keys()
    return {
        "missing": expected.keys() - both,
        "extra": there.keys() - both,
        "other": {id_ for id_ in both if expected[id_] != there[id_]},
    }


def _documents(rig: Rig, index: str) -> dict[int, Any]:
    """Every document that a search finds, by its `id`, without pgsync's own field."""
    documents: dict[int, Any] = {}
    body: dict[str, Any] = {"size": PAGE, "sort": ["id"], "_source": {"excludes": ["_meta"]}}
    while hits := request(rig.client, "POST", index, "_search", body=body)["hits"]["hits"]:
        for source in (hit["_source"] for hit in hits):
            parts = sorted(source["parts"] or [], key=lambda part: int(part["id"]))
            documents[source["id"]] = source | {"parts": parts}
        body["search_after"] = hits[-1]["sort"]
    return documents
