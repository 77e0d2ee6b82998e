"""Whatever an application and a network do: an index ends with the rows of its view, and never goes back."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.core.delivery.leases import reclaim
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.worker.health import Health
from outboxctl.worker.parts import WorkerParts
from processes import Worker, eventually
from projections import market, shop, shop_tables
from projections.lossy_index import LossyIndex
from servers import an_index

ROUNDS = int(os.environ.get("PROJECTIONS_ROUNDS", "25"))
SEED = int(os.environ.get("PROJECTIONS_SEED", "1"))
LANES = 3
SETTINGS = {
    "bulk_size": 5,
    "concurrency": LANES,
    "poll_interval_seconds": 0.02,
    "max_attempts": 1000,
    "base_backoff_seconds": 0.01,
    "max_backoff_seconds": 0.05,
}
UNFINISHED = "SELECT FROM search_outbox_events WHERE status IN ('pending', 'processing') LIMIT 1"
# As if the worker that holds them had stood still for longer than its lease.
EXPIRE = "UPDATE search_outbox_events SET lease_until = now() - interval '1 s' WHERE status = 'processing'"


@pytest.fixture
def traded(db: Database, sql: psycopg.Connection) -> Callable[[str], None]:
    """Puts the market's projection in force, into this index."""

    def of(index: str) -> None:
        sql.execute(market.SCHEMA)
        projection = shop.put_in_force(db, market.documents(index))
        shop_tables.watch(db, projection)

    return of


@contextmanager
def lanes(url: str, seed: int) -> Iterator[LossyIndex]:
    """All lanes of a worker, in this process, that deliver to an index behind such a network."""
    db = Database(url, connections=LANES + 2)

    def freeze() -> None:
        with db.begin() as connection:
            connection.exec_driver_sql(EXPIRE)
            reclaim(connection, max_processing=600, max_attempts=1000)
        parts.reclaimed.may_exist = True

    index = LossyIndex(Random(seed), freeze)
    settings = load(database_url=url, **SETTINGS)
    parts = WorkerParts(settings, db, index, Metrics(), Health(300), sink_of=lambda _: index)
    threads = [threading.Thread(target=parts.lane(drain=False).run, daemon=True) for _ in range(LANES)]
    for thread in threads:
        thread.start()
    try:
        yield index
    finally:
        parts.context.signals.stop()
        for thread in threads:
            thread.join(30)
        index.settle()
        db.close()


def test_lost_answers_late_requests_and_frozen_workers_leave_every_document_right(
    url: str, sql: psycopg.Connection, traded: Callable[[str], None]
) -> None:
    traded("market")
    compared = 0
    with lanes(url, SEED) as index:
        for number in range(ROUNDS):
            market.trade(url, SEED * 1000 + number)
            eventually(lambda: not sql.execute(UNFINISHED).rowcount, what="delivered")
            index.settle()
            held = {id_: json.loads(document) for id_, document in index.documents().items()}
            assert held == market.rows(sql), f"seed {SEED}, round {number}"
            compared += len(held)
        assert not index.wrong, f"seed {SEED}: {index.wrong}"
    assert sql.execute("SELECT DISTINCT status FROM search_outbox_events").fetchall() == [("done",)]
    assert compared > 3 * ROUNDS, "too few documents for a proof"
    assert min(index.faults.values()) > ROUNDS, index.faults
    assert index.conflicts > ROUNDS, "no request was too late"


def test_a_real_engine_ends_with_the_rows_of_the_view(
    url: str,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    worker: Callable[..., Worker],
    traded: Callable[[str], None],
) -> None:
    with an_index(engine) as index:
        traded(index)
        worker(OUTBOX_BULK_SIZE="5", OUTBOX_POLL_INTERVAL_SECONDS="0.05")
        for number in range(5):
            market.trade(url, SEED * 1000 + number)
        eventually(lambda: not sql.execute(UNFINISHED).rowcount, what="delivered")
        assert shop.held(engine, index) == market.rows(sql)
        assert market.rows(sql)
