"""What is written for a follow event, half a page at a time, by one worker or by several."""

from collections.abc import Callable, Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest

import shop
from outboxctl.core.database import Database
from outboxctl.core.projections import follow, follow_keys, follow_tables
from outboxctl.core.projections.follow_pages import HALF, PAGE
from outboxctl.worker.projections import expanding
from outboxctl.worker.projections import turns as read_ahead
from outboxctl.worker.projections.expanding import Expander
from processes import Cli
from projections.memory_index import parts_of

KEYS = 4 * HALF + 5
BY_CATEGORY = shop.by_category()
WAITS = "status = 'pending' AND follow IS NULL AND entity_key IS NOT NULL"
RETRIED = (
    f"UPDATE search_outbox_events SET attempts = 1, next_retry_at = now() + interval '1 hour' WHERE {WAITS}"
)
Worker = Callable[[], Expander]


@pytest.fixture(autouse=True)
def category(db: Database, sql: psycopg.Connection) -> None:
    """A category with so many products, and the event of its change."""
    sql.execute(shop.SCHEMA)
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea')")
    sql.execute(f"INSERT INTO shop.products SELECT n, 'p', 1, 1, 1 FROM generate_series(1, {KEYS}) n")
    shop.put_in_force(db, shop.product("no-index", follow=(BY_CATEGORY,)))
    shop.waiting(sql, {"id": "1"})


@pytest.fixture
def worker(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """Makes a worker's expander, whose turn ends once no more may be written."""
    monkeypatch.setattr(expanding, "WATCHED", 0)
    databases = list[Database]()

    def made() -> Expander:
        databases.append(db := Database(url, connections=2))
        return parts_of(db).expander

    yield made
    for each in databases:
        each.close()


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of keys of each reading."""
    honest, numbers = follow_keys.read, list[int]()

    def read(*args: object, **more: object) -> follow_keys.KeysAhead:
        ahead = honest(*args, **more)  # type: ignore[arg-type]
        numbers.append(len(ahead.keys))
        return ahead

    monkeypatch.setattr(follow_keys, "read", read)
    return numbers


def written(sql: psycopg.Connection) -> int:
    """The number of key events, each key once."""
    query = "SELECT count(*), count(DISTINCT entity_key) FROM search_outbox_events WHERE follow IS NULL"
    each, once = sql.execute(query).fetchone() or (0, 0)
    assert each == once
    return int(each)


def claimed(sql: psycopg.Connection) -> None:
    """A lane has claimed all that waits."""
    sql.execute(f"UPDATE search_outbox_events SET status = 'done' WHERE {WAITS}")


def finished(sql: psycopg.Connection) -> bool:
    """Whether the event is done."""
    return sql.execute("SELECT status FROM search_outbox_events WHERE follow = 0").fetchone() == ("done",)


def test_at_most_a_page_waits_and_its_half_is_enough_to_go_on(
    worker: Worker, sql: psycopg.Connection
) -> None:
    one = worker()
    one.turn(always=True)
    assert written(sql) == PAGE
    first_half = f"SELECT id FROM search_outbox_events WHERE {WAITS} ORDER BY id LIMIT {{}}"
    sql.execute(
        f"UPDATE search_outbox_events SET status = 'done' WHERE id IN ({first_half.format(HALF - 1)})"
    )
    one.turn(always=True)
    assert written(sql) == PAGE
    sql.execute(f"UPDATE search_outbox_events SET status = 'done' WHERE id IN ({first_half.format(1)})")
    one.turn(always=True)
    assert written(sql) == PAGE + HALF


def test_an_event_that_is_tried_again_later_does_not_stop_all_others(
    worker: Worker, sql: psycopg.Connection
) -> None:
    one = worker()
    one.turn(always=True)
    sql.execute(f"{RETRIED} AND entity_key = '{HALF}'")
    sql.execute(f"UPDATE search_outbox_events SET status = 'done' WHERE {WAITS} AND attempts = 0")
    one.turn(always=True)
    assert written(sql) == 2 * PAGE


@pytest.mark.parametrize("attempts", [0, 1], ids=["under hold", "under count"])
def test_while_the_sink_takes_nothing_no_more_events_are_written(
    worker: Worker, sql: psycopg.Connection, attempts: int
) -> None:
    one = worker()
    one.turn(always=True)
    sql.execute(RETRIED.replace("attempts = 1", f"attempts = {attempts}"))
    one.turn(always=True)
    assert written(sql) == PAGE


@pytest.mark.usefixtures("index")
def test_a_drain_ends_where_a_change_waits_for_events_that_wait(
    worker: Worker, sql: psycopg.Connection, cli: Cli
) -> None:
    worker().turn(always=True)
    sql.execute(RETRIED)
    cli.ok("worker", "--drain", timeout=60)
    assert written(sql) == PAGE


def test_the_keys_are_read_once_for_many_pages(
    worker: Worker, sql: psycopg.Connection, readings: list[int]
) -> None:
    one = worker()
    while not finished(sql):
        one.turn(always=True)
        claimed(sql)
    assert written(sql) == KEYS
    assert readings == [KEYS]


def test_keys_that_another_worker_has_written_are_not_written_again(
    worker: Worker, sql: psycopg.Connection, readings: list[int]
) -> None:
    one, two = worker(), worker()
    for expander in (one, two, one, two):
        expander.turn(always=True)
        claimed(sql)
    assert finished(sql)
    assert written(sql) == KEYS
    assert readings == [KEYS, KEYS - PAGE, KEYS - 2 * PAGE], "each reads behind the cursor, not in its memory"


def test_keys_of_another_declaration_are_forgotten(
    worker: Worker, sql: psycopg.Connection, db: Database
) -> None:
    one = worker()
    one.turn(always=True)
    few = shop.by_category(f"{BY_CATEGORY.keys} AND id <= {PAGE + 2}")
    with db.begin() as connection:
        shop.declare(connection, shop.product("no-index", follow=(few,)))
    one._declared._read_at = float("-inf")  # as if a second had passed
    claimed(sql)
    sql.execute("DELETE FROM search_outbox_events WHERE follow IS NULL")  # those of the other declaration
    for _ in range(2):
        one.turn(always=True)
        claimed(sql)
    assert finished(sql)
    assert written(sql) == PAGE + 2


def test_more_changes_than_there_is_room_for_are_expanded_all(
    worker: Worker,
    sql: psycopg.Connection,
    readings: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(read_ahead, "KEPT", 1)
    sql.execute("INSERT INTO shop.categories VALUES (2, 'pots')")
    more = HALF + HALF // 2
    sql.execute(
        f"INSERT INTO shop.products SELECT {KEYS} + n, 'p', 1, 1, 2 FROM generate_series(1, {more}) n"
    )
    shop.waiting(sql, {"id": "2"})
    one = worker()
    one.turn(always=True)
    assert readings == [KEYS, HALF, HALF // 2]
    while sql.execute(f"SELECT 1 FROM search_outbox_events WHERE {WAITS}").fetchone():
        claimed(sql)
        one.turn(always=True)
    assert written(sql) == KEYS + more


def test_a_reading_ends_at_its_number_of_keys_and_of_bytes(
    worker: Worker,
    sql: psycopg.Connection,
    readings: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(read_ahead, "AHEAD", PAGE)
    monkeypatch.setattr(follow_keys, "AHEAD_BYTES", 9 + 2 * 90 + 3 * 900)
    one = worker()
    while not finished(sql):
        one.turn(always=True)
        claimed(sql)
    assert written(sql) == KEYS
    assert readings[0] == 999
    assert len(readings) > KEYS / PAGE


def test_an_event_of_the_same_row_that_is_locked_holds_nothing_up(sql: psycopg.Connection, url: str) -> None:
    """It was waited for: after the lock timeout (55P03) nothing of the change was expanded."""
    shop.waiting(sql, {"id": "1"})
    oldest = "SELECT id FROM search_outbox_events WHERE follow = 0 ORDER BY created_at"
    (_, second) = sql.execute(oldest).fetchall()
    with psycopg.connect(url) as person:
        person.execute("SELECT FROM search_outbox_events WHERE id = %s FOR UPDATE", second)
        patient, token = Database(url, connections=1, lock_timeout=0.2), str(uuid4())
        product = shop.product("no-index", follow=(BY_CATEGORY,))
        with closing(patient) as db, db.begin() as connection:
            (table,) = follow_tables.waiting(connection)
            event = follow.claim(connection, table, owner="w", token=token, lease=30, begun=False)
            assert event
            page = follow.expand(connection, product, event, token, size=10, seconds=5)
        assert page == follow_keys.Page(10, ahead=None)
    left = "SELECT count(*) FROM search_outbox_events WHERE follow = 0 AND status = 'pending'"
    assert sql.execute(left).fetchone() == (2,), "the one that was locked, and this one behind its first page"
