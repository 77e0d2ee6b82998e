"""A projection that cannot be delivered: however many events wait, they leave the worker to the others."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.core.delivery.settle import Retry
from outboxctl.domain.failures import Reason
from outboxctl.sink.index.index_setup import ensure
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.pacing import LONGEST, RATE, Pacing
from processes import Worker, eventually
from projections import shop
from servers import an_index
from sinks import client_of

MANY = 20_000
GONE = "entity_type = 'gone'"


def outcomes(count: int) -> Outcomes:
    """So many events that come back in 20 seconds."""
    return Outcomes(retries=[Retry(str(n), 20.0, Reason.INDEX_UNAVAILABLE, "x") for n in range(count)])


@pytest.mark.no_servers
def test_waits_are_spread_so_that_few_events_come_back_in_a_second() -> None:
    pacing, one = Pacing(Mock(), Mock()), outcomes(10_000)
    pacing.spread("gone", one)
    delays = [each.delay for each in one.retries]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1] > 9_999 / RATE - 1) == (20.0, True)
    pacing.spread("gone", next_ones := outcomes(10))
    assert next_ones.retries[0].delay > 10_000 / RATE - 1
    pacing.spread("other", few := outcomes(10))
    assert {each.delay for each in few.retries} == {20.0}
    for _ in range(20):
        pacing.spread("gone", more := outcomes(10_000))
    assert more.retries[-1].delay == LONGEST


@pytest.fixture
def products(engine: Elasticsearch, db: Database, sql: psycopg.Connection) -> Iterator[str]:
    """The shop, and the index of its projection; another projection, `gone`, has none."""
    sql.execute(shop.SCHEMA)
    sql.execute(f"INSERT INTO shop.products SELECT n, 'p', 1, 1 FROM generate_series(1, {MANY}) n")
    with an_index(engine) as name:
        shop.put_in_force(db, shop.product(name))
        shop.put_in_force(db, replace(shop.product(f"{name}-gone"), name="gone"))
        yield name


@pytest.mark.slow(reason="20,000 events")
@pytest.mark.timeout(200)
@pytest.mark.parametrize("policy", ["hold", "count"])
def test_events_of_a_missing_index_come_back_slowly_and_all_at_once_when_it_is_there(
    products: str,
    worker: Callable[..., Worker],
    sql: psycopg.Connection,
    engine: Elasticsearch,
    policy: str,
) -> None:
    shop.changed(sql, *range(1, MANY + 1), name="gone")
    worker(OUTBOX_OUTAGE_POLICY=policy, OUTBOX_MAX_BACKOFF_SECONDS="5")
    tried = f"SELECT count(*) FROM search_outbox_events WHERE {GONE} AND error_reason IS NULL"
    eventually(lambda: sql.execute(tried).fetchone() == (0,), within=60)
    assert _count(sql, "next_retry_at < now() + interval '15 s'") < 30 * RATE
    assert _count(sql, "next_retry_at > now() + interval '40 s'") > MANY / 4
    shop.changed(sql, 1)
    eventually(lambda: shop.held(engine, products).keys() == {"1"})
    ensure(client_of(engine), f"{products}-gone")
    eventually(lambda: _count(sql, "status = 'done'") == MANY, within=60)
    assert int(engine.count(index=products)["count"]) == 1


def _count(sql: psycopg.Connection, condition: str) -> Any:
    return sql.execute(f"SELECT count(*) FROM search_outbox_events WHERE {GONE} AND {condition}").fetchall()[
        0
    ][0]
