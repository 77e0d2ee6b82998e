"""A key that changes, and what is not sent twice: each address ends with what the view has for it."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random
from time import sleep
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Database
from outboxctl.core.delivery import places, settle
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.projections.documents import Documents
from outboxctl.domain.projection import KeyColumn, Projection, Relation
from processes import Cli, Worker, eventually
from projections import shop_tables
from projections.memory_index import LossyIndex
from projections.test_simulation import UNFINISHED, lanes
from servers import an_index

ROUNDS = int(os.environ.get("PROJECTIONS_ROUNDS", "25"))
SEED = int(os.environ.get("PROJECTIONS_SEED", "1"))
TABLES = """
CREATE SCHEMA wares;
CREATE TABLE wares.items (id int PRIMARY KEY, sku text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED,
    price int, shown boolean NOT NULL DEFAULT true);
CREATE VIEW wares.documents AS SELECT id, sku, price FROM wares.items WHERE shown;
"""
PUT = """
INSERT INTO wares.items VALUES (%(id)s, %(sku)s, %(price)s)
ON CONFLICT (id) DO UPDATE SET price = EXCLUDED.price, shown = random() < 0.8
"""
SWAP = """
UPDATE wares.items i SET sku = o.sku FROM wares.items o
WHERE (i.id, o.id) IN ((%(id)s, %(other)s), (%(other)s, %(id)s))
"""
RENAME = """
UPDATE wares.items SET sku = %(sku)s WHERE id = %(id)s AND %(sku)s NOT IN (SELECT sku FROM wares.items)
"""
ACTS = (
    [PUT] * 4
    + [SWAP] * 2
    + [RENAME] * 2
    + [
        "DELETE FROM wares.items WHERE id = %(id)s",
        "UPDATE wares.items SET id = %(other)s WHERE id = %(id)s"
        " AND %(other)s NOT IN (SELECT id FROM wares.items)",
        "UPDATE wares.items SET price = %(price)s, shown = NOT shown WHERE id = %(id)s",
    ]
)
BY_ID, BY_SKU = KeyColumn("id", "pg_catalog.int4"), KeyColumn("sku", shop_tables.TEXT)


def wares(index: str, key: KeyColumn = BY_ID, **more: Any) -> Projection:
    """The projection `wares`."""
    root, document = Relation("wares", "items"), Relation("wares", "documents")
    return Projection("wares", root, (key,), document, index, **more)


def trade(sql: psycopg.Connection, rng: Random) -> None:
    """Few rows, skus and prices: what was comes back."""
    for _ in range(12):
        numbers = {"id": rng.randrange(6), "other": rng.randrange(6), "price": rng.randrange(2)}
        values = {**numbers, "sku": rng.choice("abcdefgh")}
        with suppress(psycopg.errors.UniqueViolation), sql.transaction(force_rollback=rng.random() < 0.1):
            for _ in range(rng.randrange(1, 3)):
                sql.execute(rng.choice(ACTS).encode(), values)


@pytest.fixture
def put_in_force(db: Database, sql: psycopg.Connection) -> Callable[..., Projection]:
    """Puts the projection of wares in force, with triggers."""
    sql.execute(TABLES)

    def put(index: str = "wares", **more: Any) -> Projection:
        projection = shop.put_in_force(db, wares(index, **more))
        shop_tables.watch(db, projection)
        return projection

    return put


@pytest.mark.slow(reason="rounds of random writers, frozen workers and late requests")
@pytest.mark.parametrize(("key", "skip"), [(BY_SKU, False), (BY_ID, True), (BY_SKU, True)])
def test_whatever_comes_back_swaps_or_freezes_each_address_has_what_the_view_has(
    url: str,
    sql: psycopg.Connection,
    put_in_force: Callable[..., Projection],
    key: KeyColumn,
    skip: bool,
) -> None:
    put_in_force(key=key, skip_unchanged=skip)
    index, rng = LossyIndex(Random(SEED)), Random(SEED)
    with lanes(url, index):
        for number in range(ROUNDS):
            trade(sql, rng)
            eventually(lambda: not sql.execute(UNFINISHED).rowcount, what="delivered")
            index.settle()
            wanted = shop.documents(sql, "wares.documents", key.name)
            assert index.documents() == wanted, f"seed {SEED}, round {number}"
    assert sql.execute("SELECT DISTINCT status, error FROM search_outbox_events").fetchall() == [
        ("done", None)
    ]
    assert index.conflicts, "no request was too late"
    if skip:
        assert sql.execute("SELECT FROM outbox_places").rowcount >= len(wanted)
        assert sql.execute("SELECT FROM outbox_places WHERE content IS NOT NULL").rowcount


def settle_places(db: Database, read: Documents) -> None:
    """The index has confirmed all of it."""
    writes = [write for sent in read.sent for write in sent.writes.values()]
    with db.begin() as connection:
        settle.write(connection, str(uuid4()), more=places.settling(writes))


def test_who_opened_a_place_last_alone_closes_or_removes_it(
    db: Database, sql: psycopg.Connection, put_in_force: Callable[..., Projection]
) -> None:
    source = DocumentSource(put_in_force(skip_unchanged=True), holds="an index")

    def looked() -> Documents:
        return source.latest(db, ["1"], seconds=30, max_bytes=None)

    sql.execute("INSERT INTO wares.items VALUES (1, 'a', 1)")
    first = looked()
    sql.execute("UPDATE wares.items SET price = 2")
    second = looked()
    sql.execute("UPDATE wares.items SET price = 1")
    settle_places(db, second)
    settle_places(db, first)  # its request came before; the index holds the second
    third = looked()
    assert not third.sent[0].unchanged
    settle_places(db, third)
    assert looked().sent[0].unchanged
    source = replace(source, holds="a new index")
    assert not looked().sent[0].unchanged


def test_a_place_that_a_document_comes_back_to_is_not_removed(
    db: Database, sql: psycopg.Connection, put_in_force: Callable[..., Projection]
) -> None:
    source = DocumentSource(put_in_force("wares-{sku}", column="sku"))

    def looked() -> Documents:
        return source.latest(db, ["1"], seconds=30, max_bytes=None)

    sql.execute("INSERT INTO wares.items VALUES (1, 'a', 1)")
    looked()
    sql.execute("UPDATE wares.items SET sku = 'b'")
    left = looked()
    assert [place.alias for place in left.sent[0].delete_from] == ["wares-a"]
    sql.execute("UPDATE wares.items SET sku = 'a'")
    back = looked()
    settle_places(db, left)
    assert sql.execute("SELECT FROM outbox_places WHERE index_name = 'wares-a'").rowcount == 1
    settle_places(db, back)
    assert sql.execute("SELECT index_name FROM outbox_places").fetchall() == [("wares-a",)]


@pytest.mark.slow(reason="workers that are killed again and again, on real servers")
@pytest.mark.parametrize("more", [{"key": BY_SKU}, {"key": BY_SKU, "skip_unchanged": True}])
def test_workers_that_are_killed_leave_no_document_of_a_key_that_changed(
    sql: psycopg.Connection,
    engine: Elasticsearch,
    cli: Cli,
    worker: Callable[..., Worker],
    put_in_force: Callable[..., Projection],
    more: dict[str, Any],
) -> None:
    rng = Random(SEED)
    with an_index(engine) as index:
        put_in_force(index, **more)
        for _ in range(5):
            killed = worker(OUTBOX_LEASE_SECONDS="2", OUTBOX_BULK_SIZE="3")
            eventually(partial(started, killed), what="a worker")
            for _ in range(4):
                trade(sql, rng)
                sleep(rng.random() / 10)
            killed.process.kill()
        eventually(lambda: delivered(cli, sql), within=90, what="all delivered")
        assert shop.held(engine, index) == shop.documents(sql, "wares.documents", "sku")


def started(worker: Worker) -> bool:
    """Whether its lanes claim."""
    return "worker started" in worker.log.read_text()


def delivered(cli: Cli, sql: psycopg.Connection) -> bool:
    """Drain; events of those that were killed are due once their lease is over."""
    cli("worker", "--drain")
    return not sql.execute(UNFINISHED).rowcount
