"""The database is away while changes are expanded: it is reported, and nothing waits for a lease."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from fakes.postgres_proxy import Do, Proxy, postgres_proxy
from outboxctl.core.database import Database
from outboxctl.core.delivery import settle
from outboxctl.worker.wiring import WorkerParts
from processes import Worker, eventually
from projections.memory_index import parts_of

KEYS = 5
CLAIM = "END, e.attempts"
WRITE = "json_array_elements_text"  # of key events


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    """In front of this test's database."""
    with postgres_proxy(url) as proxy:
        yield proxy


@pytest.fixture
def products(products: str, db: Database, sql: psycopg.Connection) -> str:
    """The index of a few products, whose category has changed."""
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea')")
    sql.execute(f"INSERT INTO shop.products SELECT n, 'p', 1, 1, 1 FROM generate_series(1, {KEYS}) n")
    shop.put_in_force(db, shop.product(products, follow=(shop.by_category(),)))
    shop.waiting(sql, {"id": "1"})
    return products


@pytest.fixture
def parts(proxy: Proxy) -> Iterator[WorkerParts]:
    """A worker's parts, behind the proxy."""
    with closing(Database(proxy.url, connections=2)) as db:
        yield parts_of(db)


@pytest.mark.usefixtures("products")
def test_a_database_that_is_away_is_reported_and_its_return_too(parts: WorkerParts, proxy: Proxy) -> None:
    health = parts.context.health
    proxy.refuse()
    parts.expander.turn(always=True)
    assert "database" in health.failing()
    proxy.heal()
    parts.expander.turn(always=True)
    assert "database" not in health.failing()


@pytest.mark.usefixtures("products")
def test_an_event_in_hand_is_given_back_once_the_database_is_there_again(
    parts: WorkerParts, proxy: Proxy, sql: psycopg.Connection, db: Database
) -> None:
    lost = proxy.on(WRITE, Do.DROP_STATEMENT, times=2)  # a second time on another connection
    parts.expander.turn(always=True)
    assert lost.reached.is_set()
    assert sql.execute("SELECT status FROM search_outbox_events").fetchall() == [("processing",)]
    # The server ends the broken session, which has locked the event, a moment later.

    def released() -> set[str]:
        with db.begin() as connection:
            return settle.release(connection, parts.context.in_flight.unanswered())

    eventually(lambda: len(released()) == 1)
    rows = sql.execute("SELECT status, attempts, next_retry_at::text FROM search_outbox_events").fetchall()
    assert rows == [("pending", 0, "infinity")]


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize(("key", "words"), [("[1]", "not a JSON object"), ("{", "not fit the projection")])
def test_an_event_that_cannot_be_read_fails_with_words(
    parts: WorkerParts, sql: psycopg.Connection, key: str, words: str
) -> None:
    sql.execute("UPDATE search_outbox_events SET entity_key = %s", [key])
    parts.expander.turn(always=True)
    ((status, reason, said),) = shop.rows(sql)
    assert (status, reason) == ("failed", "deterministic_exception")
    assert words in said


@pytest.mark.parametrize("do", [Do.DROP_STATEMENT, Do.DROP_ANSWER], ids=["not-executed", "executed"])
def test_a_claim_whose_answer_was_lost_waits_for_no_lease(
    products: str,
    worker: Callable[..., Worker],
    proxy: Proxy,
    engine: Elasticsearch,
    sql: psycopg.Connection,
    do: Do,
) -> None:
    lost = proxy.on("COMMIT", do, within=CLAIM)
    running = worker(DATABASE_URL=proxy.url)
    eventually(lambda: len(shop.held(engine, products)) == KEYS, within=20, what="expanded and delivered")
    assert lost.reached.is_set()
    eventually(lambda: {status for status, *_ in shop.rows(sql)} == {"done"})
    assert running.metric("outbox_reclaimed_total") == 0, "given back, not left to the lease of 30 s"
    assert "unexpected error" not in running.log.read_text(encoding="utf-8")
