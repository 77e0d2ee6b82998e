"""While projections are in force, a missing index of search_index holds up its own events only."""

import json
import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.sink.index.index_setup import ensure
from processes import Cli, Worker, eventually
from sinks import client_of

Start = Callable[..., Worker]
ROW = """
WITH made AS (INSERT INTO search_index (entity_type, entity_id, text, event_version)
    VALUES ('doc', gen_random_uuid(), 'x', 1) RETURNING entity_type, entity_id)
INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version)
SELECT entity_type, entity_id, 'upsert', 1 FROM made
"""
OWN = "SELECT status, attempts, error_reason FROM search_outbox_events WHERE entity_key IS NULL"
FAST = {"OUTBOX_BASE_BACKOFF_SECONDS": "0.05", "OUTBOX_MAX_BACKOFF_SECONDS": "0.2"}


@pytest.fixture
def products(products: str, sql: psycopg.Connection) -> str:
    """The shop with a product, and the index of its projection."""
    sql.execute("INSERT INTO shop.products VALUES (1, 'cup', 1, 1)")
    return products


@pytest.fixture
def later(engine: Elasticsearch, index: str) -> Iterator[str]:
    """The name of an index of search_index that is not there yet."""
    name = f"{index}-later"
    yield name
    engine.indices.delete(index=f"{name}-000001", ignore_unavailable=True)


def ready(running: Worker) -> tuple[bool, str]:
    status, body = running.get("/readyz")
    return status == 200, str(json.loads(body).get("failing", {}).get("sink", "")) if body else ""


@pytest.mark.parametrize("policy", ["count", "hold"])
def test_documents_of_the_projection_arrive_and_no_event_of_search_index_loses_an_attempt(
    products: str,
    later: str,
    worker: Start,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    policy: str,
    cli: Cli,
) -> None:
    sql.execute(ROW)
    shop.changed(sql, 1)
    running = worker(ELASTIC_INDEX=later, OUTBOX_OUTAGE_POLICY=policy, OUTBOX_MAX_ATTEMPTS="2", **FAST)
    eventually(lambda: shop.held(engine, products).keys() == {"1"})
    eventually(lambda: "events of search_index wait until then" in ready(running)[1])
    assert sql.execute(OWN).fetchone() == ("pending", 0, None), "it was not even claimed"
    assert later in running.log.read_text()
    said = r"(?m)^{} is away since .* \(index_unavailable\): 1 event waits$"
    eventually(lambda: re.search(said.format("search_index_to_elastic"), cli.ok("status")))
    if policy == "hold":
        engine.indices.delete(index=f"{products}-000001")
        shop.changed(sql, 1)
        eventually(lambda: re.search(said.format("product"), cli.ok("status")))
        ensure(client_of(engine), products)
        eventually(lambda: "product is away" not in cli.ok("status"))
    shop.changed(sql, 1)  # while the others wait
    eventually(
        lambda: sql.execute(OWN.replace("NULL", "NOT NULL") + " AND status <> 'done'").fetchall() == []
    )
    ensure(client_of(engine), later)
    eventually(lambda: sql.execute(OWN).fetchone() == ("done", 1, None))
    eventually(lambda: ready(running)[0])


def test_it_is_ready_where_search_index_is_not_used_at_all(
    products: str, later: str, worker: Start, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    running = worker(ELASTIC_INDEX=later)
    eventually(lambda: ready(running)[0])
    assert "the sink cannot be used" not in running.log.read_text()
    shop.changed(sql, 1)
    eventually(lambda: shop.held(engine, products).keys() == {"1"})
    sql.execute(ROW)
    eventually(lambda: "no such index" in ready(running)[1])


def test_a_drain_delivers_what_it_can_and_says_what_waits(
    products: str, later: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    shop.changed(sql, 1)
    assert cli("worker", "--drain", env={"ELASTIC_INDEX": later}).returncode == 0
    sql.execute(ROW)
    sql.execute("UPDATE shop.products SET name = 'mug'")
    shop.changed(sql, 1)
    done = cli("worker", "--drain", env={"ELASTIC_INDEX": later})
    assert done.returncode == 3
    assert f"no such index or alias {later}" in done.stderr
    assert shop.held(engine, products)["1"]["name"] == "mug"
    assert sql.execute(OWN).fetchone() == ("pending", 0, None)


def test_an_index_of_search_index_that_vanishes_later_holds_up_no_projection(
    products: str, later: str, worker: Start, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    ensure(client_of(engine), later)
    running = worker(ELASTIC_INDEX=later, OUTBOX_OUTAGE_POLICY="hold")
    eventually(lambda: ready(running)[0])
    engine.indices.delete(index=f"{later}-000001")
    sql.execute(ROW)
    eventually(lambda: sql.execute(OWN).fetchone() == ("pending", 0, "index_unavailable"))
    shop.changed(sql, 1)
    eventually(lambda: shop.held(engine, products).keys() == {"1"}, within=5)
    assert running.metric("outbox_circuit_open") == 0


@pytest.mark.usefixtures("products")
def test_a_worker_says_that_an_outage_fails_no_event_of_a_declared_projection(cli: Cli) -> None:
    said = cli("worker", "--drain").stderr
    assert "fails events of search_index, where that is used, and none of declared projections" in said
