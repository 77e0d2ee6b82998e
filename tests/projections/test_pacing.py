"""A projection that cannot be delivered: however many events wait, they leave the worker to the others."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from fakes import fake_sink
from fakes.faults import HEALTHY
from outboxctl.core.database import Database
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Answer, classify
from outboxctl.drills.proxy import faults
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.sink.index.index_setup import ensure
from processes import Worker, eventually
from projections.memory_index import MemoryIndex, parts_of
from scene import Scene
from servers import Servers
from sinks import client_of
from worker_parts import running_lanes

MANY = 20_000
GONE = "entity_type = 'gone'"


@pytest.fixture
def products(products: str, db: Database, sql: psycopg.Connection) -> str:
    """The shop, and the index of its projection; another projection, `gone`, has none."""
    sql.execute(f"INSERT INTO shop.products SELECT n, 'p', 1, 1 FROM generate_series(1, {MANY}) n")
    shop.put_in_force(db, replace(shop.product(f"{products}-gone"), name="gone"))
    return products


class Refusing(MemoryIndex):
    """Has no index; `deliveries` is how often that was found."""

    deliveries = 0

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """The same finding for each action."""
        assert deadline.seconds_left() > 0
        self.deliveries += 1
        return Delivery([classify(Answer(404, "index_not_found_exception", request=True))] * len(actions), [])


def test_under_count_what_was_not_tried_costs_no_attempt(db: Database, sql: psycopg.Connection) -> None:
    sql.execute(shop.SCHEMA)
    sql.execute("INSERT INTO shop.products VALUES (1, 'p', 1, 1)")
    shop.put_in_force(db, shop.product("gone"))
    shop.changed(sql, 1)
    quick = {"max_attempts": 3, "base_backoff_seconds": 0.05, "max_backoff_seconds": 0.1}
    sink = Refusing()
    with running_lanes(parts_of(db, sink, outage_policy="count", **quick)):
        eventually(lambda: shop.rows(sql)[0][0] == "failed", what="its attempts are spent")
    assert sql.execute("SELECT attempts FROM search_outbox_events").fetchall() == [(3,)]
    assert sink.deliveries == 3


@pytest.mark.slow(reason="20,000 events")
@pytest.mark.timeout(200)
@pytest.mark.parametrize("policy", ["hold", "count"])
def test_events_of_a_missing_index_are_left_alone_but_for_probes_and_delivered_once_it_is_there(
    products: str,
    worker: Callable[..., Worker],
    sql: psycopg.Connection,
    engine: Elasticsearch,
    policy: str,
) -> None:
    shop.changed(sql, *range(1, MANY + 1), name="gone")
    running = worker(OUTBOX_OUTAGE_POLICY=policy, OUTBOX_MAX_BACKOFF_SECONDS="5", OUTBOX_BULK_SIZE="200")
    eventually(lambda: running.metric("outbox_retry_scheduled_total", reason="index_unavailable") > 0)
    shop.changed(sql, 1)
    eventually(lambda: shop.held(engine, products).keys() == {"1"}, within=5)
    assert _count(sql, "error_reason IS NULL") > MANY / 2
    ensure(client_of(engine), f"{products}-gone")
    eventually(lambda: _count(sql, "status = 'done'") == MANY, within=60)
    assert int(engine.count(index=products)["count"]) == 1


@pytest.mark.slow(reason="counts the requests of ten seconds")
@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("policy", ["count", "hold"])
def test_ten_seconds_of_503_to_all_cost_few_requests_and_all_is_delivered_soon_after(
    worker: Callable[..., Worker],
    sql: psycopg.Connection,
    engine: Elasticsearch,
    index: str,
    servers: Servers,
    policy: str,
) -> None:
    """Of a projection and of search_index beside it, while both are written."""
    scene, unavailable = Scene(sql, engine, index), faults.unavailable(everything=True)
    with fake_sink(upstream=servers.sink) as sink:
        worker(ELASTIC_URL=sink.url, OUTBOX_OUTAGE_POLICY=policy, OUTBOX_BULK_SIZE="200")
        shop.changed(sql, *range(1, 1_000))
        eventually(lambda: scene.count("done") == 999, what="it delivers")
        sink.script.choose, sink.script.lookups = lambda _: unavailable, unavailable
        before, ends = len(sink.requests) + len(sink.lookups), monotonic() + 10
        while monotonic() < ends:
            shop.changed(sql, *range(1, 50))
            scene.load(20)
            threading.Event().wait(0.1)
        assert len(sink.requests) + len(sink.lookups) - before <= 100
        sink.script.choose, sink.script.lookups = lambda _: HEALTHY, HEALTHY
        eventually(lambda: scene.rows("status") == [("done",)], within=25, what="delivered")


def _count(sql: psycopg.Connection, condition: str) -> Any:
    return sql.execute(f"SELECT count(*) FROM search_outbox_events WHERE {GONE} AND {condition}").fetchall()[
        0
    ][0]
