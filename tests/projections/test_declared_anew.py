"""The declaration that counts is the one of the snapshot that reads: workers hold older ones for a while."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

import shop
from outboxctl.core.database import Database
from outboxctl.domain.clock import Deadline
from outboxctl.domain.projection import Follow, KeyColumn, Projection, Relation
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.worker.projections import reading as declared
from projections import shop_tables
from projections.stepped import Indexes, SteppedWorker

OTHER_VIEW = """
CREATE VIEW shop.names AS SELECT p.id, p.name, p.name || '!' AS loud, p.category_id FROM shop.products p
"""
NOT_DONE = "SELECT status, error_reason, error FROM search_outbox_events WHERE status <> 'done'"
NAMES = Relation("shop", "names")
GONE = BulkAction("77", 1, "{}")  # a document of which the view has no row
BY_CATEGORY = Follow(
    Relation("shop", "categories"),
    keys="SELECT id FROM shop.products WHERE category_id = :id",
    parameters=("id",),
).named()
BY_BRAND = Follow(
    Relation("shop", "brands"), keys="SELECT id FROM shop.products WHERE divisor = :id", parameters=("id",)
).named()


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declarations that a worker has read are never read again for their age."""
    monkeypatch.setattr(declared, "FRESH", 3600)


@pytest.fixture
def indexes() -> Indexes:
    """None yet."""
    return Indexes()


@pytest.fixture
def worker(
    url: str, db: Database, sql: psycopg.Connection, indexes: Indexes
) -> Iterator[Callable[[Projection], SteppedWorker]]:
    """Makes a worker that has delivered product 1 by this declaration, and so holds it."""
    sql.execute(shop.SCHEMA)
    sql.execute(OTHER_VIEW)
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea'), (2, 'pots')")
    sql.execute("INSERT INTO shop.products SELECT n, 'p' || n, n, n, 1 + n % 2 FROM generate_series(1, 9) n")
    made = SteppedWorker(url, indexes)

    def holding(projection: Projection) -> SteppedWorker:
        shop.put_in_force(db, projection)
        shop.changed(sql, 1)
        made.work()
        assert list(indexes[projection.index].documents()) == ["1"]
        return made

    with closing(made.database):
        yield holding


def test_events_of_a_projection_that_is_new_to_the_worker_are_delivered(
    worker: Callable[[Projection], SteppedWorker], db: Database, sql: psycopg.Connection, indexes: Indexes
) -> None:
    busy = worker(shop.product("products"))
    shop.put_in_force(db, replace(shop.product("others"), name="other"))
    shop.changed(sql, "", name="other", follow=-1)
    sql.execute("UPDATE search_outbox_events SET next_retry_at = 'infinity' WHERE follow = -1")
    shop.changed(sql, 2, 3, name="other")
    busy.deliver()
    assert list(indexes["others"].documents()) == ["2", "3"]
    busy.work()
    assert indexes["others"].documents() == shop.documents(sql)
    assert sql.execute(NOT_DONE).fetchall() == []


@pytest.mark.parametrize(
    "change", [{"index": "anew"}, {"document": NAMES}, {"routing": "name"}, {"pipeline": "embed"}]
)
def test_documents_are_read_and_sent_as_they_are_declared_when_they_are_read(
    worker: Callable[[Projection], SteppedWorker],
    db: Database,
    sql: psycopg.Connection,
    indexes: Indexes,
    change: dict[str, str],
) -> None:
    busy, after = worker(shop.product("products")), replace(shop.product("products"), **change)  # type: ignore[arg-type]
    before = len(indexes["products"].sent)
    shop.put_in_force(db, after)
    sql.execute("DELETE FROM shop.products WHERE id = 3")
    shop.changed(sql, 2, 3)
    busy.work()
    sent = {id_: (document, routing) for id_, document, routing in indexes[after.index].sent[-2:]}
    expected = shop.documents(sql, after.document)["2"]
    assert json.loads(sent["2"][0] or "") == expected
    assert sent["2"][1] == ("p2" if after.routing else "")
    assert sent["3"] == (None, "")
    assert indexes.pipelines[after.index] == after.pipeline
    assert len(indexes["products"].sent) == before + (2 if after.index == "products" else 0)
    assert sql.execute(NOT_DONE).fetchall() == []


def test_a_key_of_another_form_is_none_that_fails(
    worker: Callable[[Projection], SteppedWorker], db: Database, sql: psycopg.Connection, indexes: Indexes
) -> None:
    busy = worker(shop.product("products"))
    both = (KeyColumn("id", "pg_catalog.int8"), KeyColumn("name", "pg_catalog.text"))
    shop.put_in_force(db, replace(shop.product("products"), document=NAMES, key=both))
    shop.changed(sql, "1:p1")
    assert busy.deliver()
    assert indexes["products"].documents()["1:p1"] == shop.documents(sql, "shop.names")["1"]


def test_an_event_of_a_projection_that_was_dropped_meanwhile_waits_and_is_not_delivered(
    worker: Callable[[Projection], SteppedWorker], sql: psycopg.Connection, indexes: Indexes
) -> None:
    busy = worker(shop.product("products"))
    sql.execute("DELETE FROM outbox_projections")
    shop.changed(sql, 2)
    assert busy.deliver()
    assert [row[:2] for row in sql.execute(NOT_DONE)] == [("pending", "config")]
    assert list(indexes["products"].documents()) == ["1"]


def test_a_sweep_lists_the_index_of_the_declaration_that_it_was_written_for(
    worker: Callable[[Projection], SteppedWorker], db: Database, sql: psycopg.Connection, indexes: Indexes
) -> None:
    busy = worker(shop.product("products"))
    indexes["anew"].deliver([GONE], deadline=Deadline.within(1))
    shop.put_in_force(db, shop.product("anew"))
    sweep(sql)
    busy.work()
    assert indexes["anew"].documents() == shop.documents(sql)
    assert sql.execute(NOT_DONE).fetchall() == []


def test_a_sweep_that_another_declaration_began_begins_again(
    worker: Callable[[Projection], SteppedWorker], db: Database, sql: psycopg.Connection, indexes: Indexes
) -> None:
    busy = worker(shop.product("products"))
    indexes["anew"].deliver([GONE], deadline=Deadline.within(1))
    sweep(sql)
    for step in ("the keys in hand", "the ids of the index"):
        assert busy.expand(), step
    shop.put_in_force(db, shop.product("anew"))
    busy.work()
    assert indexes["anew"].documents() == shop.documents(sql)
    assert sql.execute(NOT_DONE).fetchall() == []


def sweep(sql: psycopg.Connection) -> None:
    """The event for every document."""
    shop.changed(sql, "", follow=-1)
    sql.execute(
        "UPDATE search_outbox_events SET next_retry_at = 'infinity' WHERE follow = -1 AND status = 'pending'"
    )


@pytest.fixture
def followed(
    worker: Callable[[Projection], SteppedWorker], db: Database, sql: psycopg.Connection, indexes: Indexes
) -> SteppedWorker:
    """A worker of a projection that follows categories and brands, with all documents delivered."""
    busy = worker(shop.product("products"))
    sql.execute("CREATE TABLE shop.brands (id int PRIMARY KEY, name text)")
    sql.execute("INSERT INTO shop.brands SELECT n, 'b' || n FROM generate_series(1, 9) n")
    apply(db, follow=(BY_CATEGORY, BY_BRAND))
    sweep(sql)
    busy.work()
    assert indexes["products"].documents() == shop.documents(sql)
    return busy


def apply(db: Database, *, follow: tuple[Follow, ...]) -> None:
    """Put the projection with these followed tables in force, with its triggers."""
    projection = shop.product("products", follow=follow)
    shop_tables.watch(db, projection)
    shop.put_in_force(db, projection)


ANOTHER_PARAMETER = replace(
    BY_CATEGORY,
    keys="SELECT id FROM shop.products WHERE category_id = :id OR :name = ''",
    parameters=("id", "name"),
).named()
AGAIN = "UPDATE search_outbox_events SET next_retry_at = now(), attempts = 0 WHERE follow = 0"
BEGUN = """UPDATE search_outbox_events SET follow_cursor = '{"after": "9", "of": "x"}' WHERE follow = 0"""


@pytest.mark.parametrize(
    ("query", "state"),
    [
        (ANOTHER_PARAMETER, ""),
        (ANOTHER_PARAMETER, AGAIN),
        (ANOTHER_PARAMETER, BEGUN),
        (BY_BRAND, ""),
    ],
    ids=["another parameter", "failed and was replayed", "was begun", "followed no more"],
)
def test_a_waiting_event_whose_query_is_not_in_force_any_more_has_all_documents_read(
    followed: SteppedWorker,
    db: Database,
    sql: psycopg.Connection,
    indexes: Indexes,
    query: Follow,
    state: str,
) -> None:
    for name in ("cups", "mugs", "jars"):
        sql.execute("UPDATE shop.categories SET name = %s WHERE id = 2", (name,))
    apply(db, follow=(query,))
    sql.execute((state or "SELECT").encode())
    before = len(indexes["products"].sent)
    followed.work()
    assert indexes["products"].documents() == shop.documents(sql)
    assert sql.execute(NOT_DONE).fetchall() == []
    assert len(indexes["products"].sent) - before <= 10, "all documents once, whatever the number of events"
