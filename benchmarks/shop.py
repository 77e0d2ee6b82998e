"""Products with five parts each and a category: their tables, their writers, and the documents of both."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from random import Random
from time import sleep, time
from typing import Any

from benchmarks.processes import wait_until
from outboxctl.core.database import Database
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.index import index_setup
from outboxctl.sink.transport.request import demand

SCHEMA = "bench_nested"
PARTS, CATEGORIES = 5, 100  # parts a product
PER_COMMIT = 100  # rows of a writer's transaction
PATIENCE = 1_200.0  # seconds
PAGE = 5_000  # documents
LOOK, SHARE = (
    0.05,
    0.05,
)  # seconds between two searches, and at least this share of those since the writer's end
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
INSERT INTO {SCHEMA}.categories SELECT n, 'category ' || n FROM generate_series(0, {{categories}} - 1) n;
INSERT INTO {SCHEMA}.products SELECT n, 'product ' || md5(n::text), n %% {{categories}}
    FROM generate_series(1, {{products}}) n;
INSERT INTO {SCHEMA}.parts SELECT n, 1 + (n - 1) / {PARTS}, 'sku-' || n, {NOTE.format("n", "1")}
    FROM generate_series(1, {PARTS} * {{products}}) n;
CREATE INDEX ON {SCHEMA}.products (category_id);
CREATE INDEX ON {SCHEMA}.parts (product_id);
"""
CHANGE = f"""
UPDATE {SCHEMA}.parts SET note = {NOTE.format("id", "revision + 1")}, revision = revision + 1
WHERE id = ANY (%(ids)s)
"""
# Each part has its second revision.
UPDATED = {
    "bool": {"must_not": [{"term": {"parts.revision": 1}}], "filter": [{"term": {"parts.revision": 2}}]}
}
# Every category, whose ids begin at 0.
RENAME = f"""
UPDATE {SCHEMA}.categories SET name = 'renamed ' || id
WHERE id = ANY (ARRAY(SELECT n - 1 FROM unnest(CAST(%(ids)s AS int[])) n))
"""
RENAMED = {"prefix": {"category": "renamed "}}
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


def fill(rig: Rig, products: int, *, categories: int = CATEGORIES) -> None:
    """Make the tables anew, with rows and without triggers."""
    for statements in (TABLES, ROWS.format(products=products, categories=categories)):
        tables.execute(rig, statements)
    with rig.database.apart() as session:
        for name in ("categories", "products", "parts"):
            session.execute(f"VACUUM (ANALYZE) {SCHEMA}.{name}".encode())
    rig.checkpoint()


def updated(rig: Rig, rows: int, statement: str = CHANGE) -> tuple[float, float]:
    """Update every row once, in a process of its own: when it began, and when its last commit was done.

    By default the rows are parts.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_update, rig.settings.require_database_url(), rows, statement).result(PATIENCE)


def _update(url: str, rows: int, statement: str) -> tuple[float, float]:
    ids = [*range(1, rows + 1)]
    Random(1).shuffle(ids)  # noqa: S311 - test data
    with closing(Database(url)) as database:
        with database.begin():
            began = time()
        for start in range(0, rows, PER_COMMIT):
            with database.begin() as connection:
                connection.exec_driver_sql(statement, {"ids": ids[start : start + PER_COMMIT]})
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
    stats = demand(rig.client, "GET", index, "_stats", "indexing")
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


def wait_quiet(rig: Rig, index: str, seconds: float, *, more_than: int = -1) -> None:
    """Wait until more than so many documents were written, and then none for so long."""
    last: list[float] = [time(), written(rig, index)]

    def quiet() -> bool:
        if (writes := written(rig, index)) > last[1]:
            last[:] = [time(), writes]
        return last[1] > more_than and time() - last[0] > seconds

    wait_until(quiet, f"an end of the writes to {index}", LOOK, patience=PATIENCE)


def wrong(rig: Rig, index: str) -> set[int]:
    """The products whose document is missing, extra or other than the view's row; parts in any order."""
    with rig.database.begin() as connection:
        rows = connection.exec_driver_sql(f"SELECT to_json(d)::text FROM {SCHEMA}.documents d").scalars()
        expected = {row["id"]: row for row in map(json.loads, rows)}
    index_setup.count(rig.client, index)  # refreshes
    there = _documents(rig, index)
    return {id_ for id_ in expected.keys() | there if expected.get(id_) != there.get(id_)}


def _documents(rig: Rig, index: str) -> dict[int, Any]:
    documents: dict[int, Any] = {}
    for source in sources(rig, index):
        parts = sorted(source["parts"] or [], key=lambda part: int(part["id"]))
        documents[source["id"]] = source | {"parts": parts}
    return documents


def sources(rig: Rig, index: str) -> Iterator[dict[str, Any]]:
    """Every document that a search finds, by its `id`, without pgsync's own field."""
    body: dict[str, Any] = {"size": PAGE, "sort": ["id"], "_source": {"excludes": ["_meta"]}}
    while hits := demand(rig.client, "POST", index, "_search", body=body)["hits"]["hits"]:
        yield from (hit["_source"] for hit in hits)
        body["search_after"] = hits[-1]["sort"]
