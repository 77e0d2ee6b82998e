"""A projection in trouble delays no other by more than a moment, however many of its events wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Database
from outboxctl.domain.projection import Relation
from outboxctl.sink.index.index_setup import ensure
from processes import Cli, Worker, eventually
from scene import Scene
from sinks import client_of

MANY, OTHERS = 20_000, 15
LATEST = 5.0  # seconds, beside other tests; benchmarks/isolation.py measures it
SEEN = """
CREATE OR REPLACE FUNCTION shop.seen(text) RETURNS text STABLE LANGUAGE plpgsql
AS 'BEGIN PERFORM FROM shop.beside; {} RETURN $1; END'
"""
ILL = "CREATE VIEW shop.ill AS SELECT id, shop.seen(name) AS name FROM shop.products"


@pytest.fixture
def ill(products: str, db: Database, sql: psycopg.Connection, engine: Elasticsearch) -> Iterator[str]:
    """The index of a projection that has many events; beside it are that of products and search_index."""
    name = f"{products}-ill"
    sql.execute(f"INSERT INTO shop.products SELECT n, 'p' FROM generate_series(1, {MANY}) n")
    for statement in ("CREATE TABLE shop.beside ()", SEEN.format(""), ILL):
        sql.execute(statement.encode())
    shop.put_in_force(db, replace(shop.product(name, document=Relation("shop", "ill")), name="ill"))
    ensure(client_of(engine), name)
    shop.changed(sql, *range(1, MANY + 1), name="ill")
    yield name
    engine.indices.delete(index=f"{name}-000001", ignore_unavailable=True)


@contextmanager
def in_trouble(
    kind: str, ill: str, sql: psycopg.Connection, url: str, engine: Elasticsearch
) -> Iterator[None]:
    with psycopg.connect(url) as other:
        if kind == "slow view":
            sql.execute(SEEN.format("PERFORM pg_sleep(0.2);").encode())
        elif kind == "locked view":
            other.execute("LOCK TABLE shop.beside")
        elif kind == "blocked index":
            engine.indices.put_settings(index=ill, settings={"index.blocks.write": True})
        else:
            engine.indices.delete(index=f"{ill}-000001")
        yield


@pytest.mark.real_engine
@pytest.mark.slow(reason="20,000 events")
@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        ("slow view", ""),
        ("slow view", "hold"),
        ("locked view", "count"),
        ("blocked index", "count"),
        ("no index", "hold"),
    ],
)
def test_a_projection_in_trouble_delays_no_other(
    kind: str,
    policy: str,
    ill: str,
    url: str,
    index: str,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    worker: Callable[..., Worker],
) -> None:
    under_way = "SELECT FROM search_outbox_events WHERE entity_type <> 'ill' AND status <> 'done'"
    with in_trouble(kind, ill, sql, url, engine):
        worker(**{"OUTBOX_OUTAGE_POLICY": policy} if policy else {})
        for number in range(OTHERS):
            shop.changed(sql, MANY - number)
            Scene(sql, engine, index).load(1)
            began = monotonic()
            eventually(lambda: not sql.execute(under_way).rowcount, within=60)
            assert monotonic() - began < LATEST, f"the {number}. is late"


BY_STATUS = "SELECT status, attempts, count(*) FROM search_outbox_events GROUP BY 1, 2"
SIZE, TWENTY = "5", 20


@pytest.mark.parametrize("size", [SIZE, "500"])
@pytest.mark.usefixtures("products")
def test_a_drain_does_not_wait_for_a_sink_that_is_away(size: str, cli: Cli, sql: psycopg.Connection) -> None:
    """Events of a projection are held by default."""
    shop.changed(sql, *range(TWENTY))
    dead = {"ELASTIC_URL": "http://127.0.0.1:9", "OUTBOX_BULK_SIZE": size}
    assert cli("worker", "--drain", env=dead).returncode == 3
    assert sql.execute(BY_STATUS).fetchall() == [("pending", 0, TWENTY)]


@pytest.mark.parametrize(
    ("policy", "code", "left"),
    [("hold", 3, ("pending", 0, TWENTY)), ("count", 0, ("failed", 1, TWENTY))],
)
def test_a_drain_with_an_index_away_ends_at_once_only_where_its_events_are_held(
    policy: str,
    code: int,
    left: tuple[object, ...],
    products: str,
    cli: Cli,
    sql: psycopg.Connection,
    engine: Elasticsearch,
) -> None:
    sql.execute(f"INSERT INTO shop.products SELECT n, 'p' FROM generate_series(0, {TWENTY}) n")
    shop.changed(sql, *range(TWENTY))
    engine.indices.delete(index=f"{products}-000001")
    given = {
        "OUTBOX_OUTAGE_POLICY": policy,
        "OUTBOX_MAX_ATTEMPTS": "1",
        "OUTBOX_BULK_SIZE": SIZE,
        "OUTBOX_CONCURRENCY": "1",
    }
    done = cli("worker", "--drain", env=given)
    assert done.returncode == code, done.stderr
    assert sql.execute(BY_STATUS).fetchall() == [left]
