"""Many changed rows of one followed table: expanded together, and no table waits for another one."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg
import pytest

import shop
from outboxctl.core.database import Database
from outboxctl.core.projections import follow_keys, follow_pages, follow_query, follow_tables
from outboxctl.core.projections.follow_pages import HALF, FollowEvent
from outboxctl.domain.projection import Follow, Projection, Relation
from outboxctl.worker.projections import expanding
from outboxctl.worker.projections.turns import Turn
from outboxctl.worker.wiring import WorkerParts
from projections.memory_index import parts_of

CATEGORIES, EACH = 300, 2  # categories, and products of each one
TYPES = ("pg_catalog.int8",)
BY_CATEGORY = shop.by_category()
BY_REVIEW = Follow(
    Relation("shop", "reviews"),
    keys="SELECT r.product_id FROM shop.reviews r WHERE r.id = :id",
    parameters=("id",),
    types=TYPES,
)
ENDS = "SELECT status, count(*) FROM search_outbox_events WHERE follow = {} GROUP BY 1 ORDER BY 1"
KEYS = "SELECT count(*), count(DISTINCT entity_key) FROM search_outbox_events WHERE follow IS NULL"


@pytest.fixture(autouse=True)
def tables(sql: psycopg.Connection) -> None:
    """Categories with a few products each."""
    sql.execute(shop.SCHEMA)
    sql.execute(f"INSERT INTO shop.categories SELECT n, 'c' || n FROM generate_series(1, {CATEGORIES}) n")
    sql.execute(
        f"INSERT INTO shop.products SELECT n, 'p', 1, 1, 1 + n % {CATEGORIES}"
        f" FROM generate_series(1, {CATEGORIES * EACH}) n"
    )
    sql.execute("INSERT INTO shop.reviews SELECT n, n, 5, 'r' FROM generate_series(1, 10) n")


@pytest.fixture
def projection(db: Database) -> Projection:
    """The projection, which follows two tables by queries."""
    return shop.put_in_force(db, shop.product("no-index", follow=(BY_CATEGORY, BY_REVIEW)))


@pytest.fixture
def parts(projection: Projection, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerParts]:
    """The parts of a worker without threads."""
    monkeypatch.setattr(expanding, "WATCHED", 0)
    assert projection
    with closing(Database(url, connections=2)) as db:
        yield parts_of(db)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of events of each reading of a set."""
    honest, numbers = follow_keys.read_set, list[int]()

    def read_set(
        connection: Any, projection: Any, events: Sequence[FollowEvent], **more: Any
    ) -> list[str] | None:
        numbers.append(len(events))
        return honest(connection, projection, events, **more)

    monkeypatch.setattr(follow_keys, "read_set", read_set)
    return numbers


def changed(sql: psycopg.Connection, ids: Sequence[object], *, place: int = 0) -> None:
    """The events of changed rows with these ids, in this order."""
    shop.waiting(sql, *({"id": str(id_)} for id_ in ids), follow=place)


def expanded(parts: WorkerParts, sql: psycopg.Connection) -> None:
    """Expand until no follow event waits, while lanes take whatever was written."""
    for _ in range(100):
        parts.expander.turn(always=True)
        sql.execute("UPDATE search_outbox_events SET status = 'done' WHERE follow IS NULL")
        if sql.execute("SELECT 1 FROM search_outbox_events WHERE status = 'pending'").fetchone() is None:
            return
    raise AssertionError("still waiting")


def test_each_document_is_written_once_for_all_changed_rows_of_a_set(
    parts: WorkerParts, sql: psycopg.Connection, readings: list[int]
) -> None:
    changed(sql, [*range(1, CATEGORIES + 1)] * 4)
    expanded(parts, sql)
    assert sql.execute(ENDS.format(0)).fetchall() == [("done", 4 * CATEGORIES)]
    each, once = sql.execute(KEYS).fetchone() or (0, 0)
    assert once == CATEGORIES * EACH
    assert each < 4 * once, "not once for each change"
    assert len(readings) < 12, "not a query for each change"


def test_a_row_that_the_query_raises_for_fails_alone(parts: WorkerParts, sql: psycopg.Connection) -> None:
    changed(sql, [*range(1, 101), "no number", *range(101, 201), 10**30])
    expanded(parts, sql)
    assert sql.execute(ENDS.format(0)).fetchall() == [("done", 200), ("failed", 2)]
    assert sql.execute(KEYS).fetchone() == (200 * EACH, 200 * EACH)
    failed = "SELECT entity_key, error_reason, attempts FROM search_outbox_events WHERE status = 'failed'"
    assert sorted(sql.execute(failed).fetchall()) == [
        ('{"id": "1000000000000000000000000000000"}', "bad_document", 1),
        ('{"id": "no number"}', "bad_document", 1),
    ]


def test_a_set_with_more_documents_than_half_a_page_becomes_smaller(
    parts: WorkerParts, sql: psycopg.Connection, readings: list[int]
) -> None:
    sql.execute(
        f"INSERT INTO shop.products SELECT 100000 + n, 'p', 1, 1, 250 FROM generate_series(1, {3 * HALF}) n"
    )
    changed(sql, range(1, CATEGORIES + 1))
    expanded(parts, sql)
    assert sql.execute(ENDS.format(0)).fetchall() == [("done", CATEGORIES)]
    number = CATEGORIES * EACH + 3 * HALF
    assert sql.execute(KEYS).fetchone() == (number, number)
    assert max(readings) > 1


def test_what_fails_after_the_keys_were_written_leaves_neither_keys_nor_an_end(
    parts: WorkerParts, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(sql, [1])
    expanded(parts, sql)  # from here on it takes several at once
    changed(sql, range(2, 5))
    honest = follow_pages.write

    def write(*args: Any) -> list[str]:
        honest(*args)
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(follow_pages, "write", write)
        with pytest.raises(ZeroDivisionError):
            parts.expander.turn(always=True)
    assert sql.execute(KEYS).fetchone() == (EACH, EACH)
    assert sql.execute(ENDS.format(0)).fetchall() == [("done", 1), ("pending", 3)]
    expanded(parts, sql)
    assert sql.execute(KEYS).fetchone() == (4 * EACH, 4 * EACH)


def test_changes_of_a_table_that_is_locked_keep_their_attempts_and_hold_up_no_other_table(
    parts: WorkerParts, sql: psycopg.Connection, url: str
) -> None:
    changed(sql, range(1, CATEGORIES + 1), place=1)
    changed(sql, [1])
    with psycopg.connect(url) as migration:
        migration.execute("LOCK TABLE shop.reviews IN ACCESS EXCLUSIVE MODE")
        parts.expander.turn(always=True)
        assert sql.execute(ENDS.format(0)).fetchall() == [("done", 1)]
        assert sql.execute(ENDS.format(1)).fetchall() == [("pending", CATEGORIES)]
        with parts.context.database.begin() as connection:
            assert not parts.expander.due(connection), "a drain ends: it can do nothing about the lock"
    tried = "SELECT max(attempts) FROM search_outbox_events WHERE status = 'pending' AND follow IS NOT NULL"
    assert sql.execute(tried).fetchone() == (0,)


def test_that_one_table_was_expanded_is_known_before_the_others_had_their_turn(
    parts: WorkerParts, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(sql, [1])
    changed(sql, [1], place=1)
    order, begin = list[str](), parts.expander._begin

    def beginning(table: follow_tables.FollowedTable, turn: Turn) -> bool:
        order.append("begin")
        return begin(table, turn)

    monkeypatch.setattr(parts.context.health, "expanded", lambda: order.append("told"))
    monkeypatch.setattr(parts.expander, "_begin", beginning)
    parts.expander.step()
    assert order == ["begin", "told", "begin", "told"]


@pytest.mark.usefixtures("projection")
def test_two_workers_expand_all_changes(
    parts: WorkerParts, sql: psycopg.Connection, url: str, readings: list[int]
) -> None:
    changed(sql, range(1, CATEGORIES + 1))
    with closing(Database(url, connections=2)) as db:
        other = parts_of(db)
        for _ in range(20):
            parts.expander.step()
            other.expander.step()
    assert sql.execute(ENDS.format(0)).fetchall() == [("done", CATEGORIES)]
    assert sql.execute(KEYS).fetchone() == (CATEGORIES * EACH, CATEGORIES * EACH)
    assert len(readings) > 2


def test_rows_with_many_documents_each_wait_for_lanes_as_well(
    parts: WorkerParts, sql: psycopg.Connection
) -> None:
    """Each is expanded by itself, and none has more than half a page."""
    sql.execute(
        "INSERT INTO shop.products SELECT 100000 + n, 'p', 1, 1, 1 + n / 900"
        " FROM generate_series(0, 900 * 20 - 1) n".replace("900", str(HALF - 100))
    )
    changed(sql, range(1, 21))
    parts.expander.turn(always=True)
    waiting, _ = sql.execute(KEYS).fetchone() or (0, 0)
    assert 0 < waiting < 6 * HALF, "not all of them before everybody else's events"
    expanded(parts, sql)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM shop.products WHERE category_id = :id",
        "SELECT p0.id FROM shop.products p0 WHERE p0.category_id IS NOT DISTINCT FROM :id;",
        "WITH q AS (SELECT * FROM shop.products p WHERE p.category_id = :id) SELECT q.id FROM q -- :id\n",
        "SELECT max(id) FROM shop.products WHERE category_id = :id",
        "SELECT id FROM shop.products WHERE category_id = :id ORDER BY id DESC LIMIT 1",
        "SELECT id FROM shop.products WHERE category_id = :id"
        " UNION SELECT product_id FROM shop.reviews WHERE id = :id",
        "SELECT r.product_id FROM shop.reviews r, shop.products k0 WHERE k0.id = r.product_id AND r.id < :id",
        "SELECT id FROM shop.products p WHERE :id IN (SELECT category_id FROM shop.products r"
        " WHERE r.id = p.id)",
        "SELECT id FROM shop.products q WHERE name LIKE '%p%' AND q.category_id % 7 = :id % 7 AND q.id < 40",
    ],
)
def test_the_keys_of_a_set_are_those_of_its_rows(db: Database, query: str) -> None:
    product = shop.product("no-index", follow=(shop.by_category(query),))
    ids = ["1", "2", "5", "300", None, "7"]
    events = [FollowEvent(str(n), "product", 0, json.dumps({"id": id_}), {}, 0) for n, id_ in enumerate(ids)]
    assert follow_query.together(product, events) == events
    with db.begin() as connection:
        each = [follow_keys.read(connection, product, event, size=500, seconds=5).keys for event in events]
        limits = {"seconds": 5.0, "lock_seconds": 1.0}
        assert follow_keys.read_set(connection, product, events, **limits) == sorted(
            set().union(*each), key=int
        )


def test_changes_of_two_queries_are_no_set() -> None:
    """A later declaration has another table at this place."""
    named = [each.named() for each in (BY_CATEGORY, BY_REVIEW)]
    product = shop.product("no-index", follow=tuple(named))
    events = [
        FollowEvent(str(n), "product", 0, json.dumps({"": named[n % 2].name, "id": "1"}), {}, 0)
        for n in range(4)
    ]
    assert follow_query.together(product, events) == events[::2]


def test_rows_with_large_columns_are_read_a_few_at_a_time(
    db: Database, sql: psycopg.Connection, projection: Projection
) -> None:
    changed(sql, ["9" * (follow_tables.MOST_BYTES // 3)] * 9)
    with db.begin() as connection:
        (table,) = follow_tables.waiting(connection)
        assert table.projection == projection.name
        assert len(follow_tables.lock(connection, table, 9)) == 2
