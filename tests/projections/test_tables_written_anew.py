"""A migration writes a table anew while documents are read: a snapshot of before sees it empty."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from elasticsearch import Elasticsearch
from psycopg.conninfo import make_conninfo

from outboxctl.core.documents.source import DocumentSource, PageOptions
from outboxctl.core.projections import in_force
from processes import Worker, eventually
from projections.store import Store
from shop import documents, held

ANEW = "ALTER TABLE store.products ADD COLUMN fresh{} uuid DEFAULT gen_random_uuid()"
PRODUCTS = """INSERT INTO store.products (id, tenant, title, "Odd ""%Name")
SELECT n, 'a', 'x', n FROM generate_series(1, 9) n"""
EVENT = """INSERT INTO search_outbox_events (entity_type, entity_id, op, entity_key, next_retry_at, status,
    attempts, replay_count, created_at, updated_at)
VALUES ('product', md5('product:3')::uuid, 'upsert', '3', now(), 'pending', 0, 0, now(), now())"""
OPEN = "SELECT 1 FROM search_outbox_events WHERE status IN ('pending', 'processing')"
VIEW = "SELECT pg_get_viewdef('store.documents'::regclass)"
WAITS = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@contextmanager
def migrating(store: Store, *ddl: str) -> Iterator[None]:
    """Commit this once somebody waits for it."""
    login = make_conninfo(store.sql.info.dsn, password=store.sql.info.password)
    with psycopg.connect(login) as sql:
        for each in ddl:
            sql.execute(each.encode())
        yield
        eventually(lambda: store.sql.execute(WAITS).fetchone() is not None)


def equal(store: Store, engine: Elasticsearch) -> bool:
    """Whether the index has what the view has."""
    there = engine.indices.exists(index=store.index)
    return bool(there) and held(engine, store.index) == documents(store.sql, "store.documents")


@pytest.mark.timeout(90)
def test_a_worker_deletes_nothing(store: Store, engine: Elasticsearch, worker: Callable[..., Worker]) -> None:
    store.sql.execute(PRODUCTS.encode())
    store.apply()
    worker()
    eventually(lambda: equal(store, engine) and not store.sql.execute(OPEN).fetchone())
    for again in range(6):  # the statement is prepared by the second at the latest
        with migrating(store, ANEW.format(again)):
            store.sql.execute(EVENT.encode())
        eventually(lambda: not store.sql.execute(OPEN).fetchone())
        assert equal(store, engine)


@pytest.mark.timeout(90)
def test_a_worker_reads_no_new_column_of_old_rows(
    store: Store, engine: Elasticsearch, worker: Callable[..., Worker]
) -> None:
    """The column is filled, and the view made anew, by the migration."""
    store.sql.execute(PRODUCTS.encode())
    store.apply()
    worker()
    eventually(lambda: equal(store, engine))
    ((view,),) = store.sql.execute(VIEW).fetchall()
    view = view.rstrip("; ")
    for again in range(4):
        add = f"ALTER TABLE store.products ADD COLUMN new{again} text"
        fill = f"UPDATE store.products SET new{again} = 'filled'"
        made = view.replace("p.made", f"p.made, p.new{again} AS new", 1)
        off, on = (f"ALTER TABLE store.products {each} TRIGGER USER" for each in ("DISABLE", "ENABLE"))
        anew = ("DROP VIEW store.documents", f"CREATE VIEW store.documents AS {made}")
        with migrating(store, off, add, fill, on, *anew):
            store.sql.execute(EVENT.encode())
        eventually(lambda: not store.sql.execute(OPEN).fetchone())
        assert held(engine, store.index)["3"].get("new") == "filled"


@pytest.mark.parametrize("way", ["pages", "states"])
def test_whoever_compares_sees_every_row(store: Store, way: str) -> None:
    store.sql.execute(PRODUCTS.encode())
    store.apply()
    with store.db.begin() as connection:
        source = DocumentSource(in_force.read(connection)[0])

    def rows() -> int:
        if way == "states":
            found = source.states(store.db, [str(n) for n in range(1, 10)], content=True).rows
            return sum(row.text is not None for row in found.values())
        return sum(len(page.rows) for page in source.pages(store.db, None, PageOptions(100, 10_000)))

    assert rows() == 9
    with ThreadPoolExecutor(1) as pool:
        with migrating(store, ANEW.format("")):
            seen: Future[int] = pool.submit(rows)
        assert seen.result() == 9
