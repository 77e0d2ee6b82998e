"""A change with many documents behind it: one event names many of them, and they are sent as one batch."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

import shop
from outboxctl.core.database import Database
from outboxctl.core.documents.since import Since
from outboxctl.core.projections import events, follow, follow_keys, follow_tables
from outboxctl.core.projections.follow_pages import HALF, LEAST
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Answer, classify
from outboxctl.domain.projection import DOCUMENTS, EVERYTHING
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery
from projections.memory_index import MemoryIndex
from projections.stepped import Indexes, SteppedWorker

MANY = 3 * LEAST
MORE = f"INSERT INTO shop.products SELECT n, 'p', 1, 1, 1 FROM generate_series({MANY + 1}, {2 * HALF}) n"
PAGES = f"SELECT status, attempts, error_reason FROM search_outbox_events WHERE follow = {DOCUMENTS}"
SINGLE = "SELECT entity_key FROM search_outbox_events WHERE follow IS NULL ORDER BY 1"
REFUSED = classify(Answer(400, "document_parsing_exception", "no"))
SILENT = classify(Answer(0, "timeout", "no answer", request=True))
AWAY = classify(Answer(404, "index_not_found_exception", "no such index", request=True))


class Index(MemoryIndex):
    """An index that asks `before` each batch, and takes none of it where that returns findings."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = list[int]()
        self.before: Callable[[Sequence[BulkAction]], Delivery | None] = lambda _: None

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """Deliver, but for what `before` returns."""
        self.batches.append(len(actions))
        return self.before(actions) or super().deliver(actions, deadline=deadline)


@pytest.fixture
def index() -> Index:
    """That of the projection."""
    return Index()


@pytest.fixture(autouse=True)
def worker(url: str, db: Database, sql: psycopg.Connection, index: Index) -> Iterator[SteppedWorker]:
    """A worker whose index has taken batches before, and a category with so many products."""
    sql.execute(shop.SCHEMA)
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea')")
    sql.execute(f"INSERT INTO shop.products SELECT n, 'p', 1, 1, 1 FROM generate_series(1, {MANY}) n")
    shop.put_in_force(db, shop.product("of-products", follow=(shop.by_category(),)))
    indexes = Indexes()
    indexes["of-products"] = index
    made = SteppedWorker(url, indexes)
    yield made
    made.database.close()


def single(sql: psycopg.Connection) -> list[str]:
    """The keys of events of one document each."""
    return [key for (key,) in sql.execute(SINGLE)]


def refuses(findings: Callable[[BulkAction], object], index: Index, *, times: int) -> None:
    """Have the index answer so many batches with these findings."""
    left = [times]

    def before(actions: Sequence[BulkAction]) -> Delivery | None:
        left[0] -= 1
        if left[0] < 0:
            return None
        found = [findings(action) for action in actions]
        taken = [action for action, finding in zip(actions, found, strict=True) if finding == "taken"]
        done = iter(MemoryIndex.deliver(index, taken, deadline=Deadline.within(9)).findings)
        return Delivery([next(done) if each == "taken" else each for each in found], [])  # type: ignore[misc]

    index.before = before


def test_they_have_one_event_and_are_one_batch(
    worker: SteppedWorker, sql: psycopg.Connection, index: Index
) -> None:
    shop.waiting(sql, {"id": "1"})
    worker.work()
    assert index.documents() == shop.documents(sql)
    assert index.batches == [MANY]
    assert sql.execute(PAGES).fetchall() == [("done", 1, None)]
    assert single(sql) == []


def test_few_have_an_event_each(worker: SteppedWorker, sql: psycopg.Connection, index: Index) -> None:
    sql.execute(f"DELETE FROM shop.products WHERE id >= {LEAST}")
    shop.waiting(sql, {"id": "1"})
    worker.work()
    assert len(index.documents()) == len(single(sql)) == LEAST - 1


def test_one_that_is_refused_has_an_event_of_its_own(
    worker: SteppedWorker, sql: psycopg.Connection, index: Index
) -> None:
    refuses(lambda action: REFUSED if action.id == "7" else "taken", index, times=3)
    shop.waiting(sql, {"id": "1"})
    worker.work()
    assert index.documents().keys() == {str(n) for n in range(1, MANY + 1)} - {"7"}
    assert single(sql) == ["7"]
    failed = sql.execute("SELECT entity_key FROM search_outbox_events WHERE status = 'failed'").fetchall()
    assert failed == [("7",)]
    assert sql.execute(PAGES).fetchall() == [("done", 1, None)]


@pytest.mark.parametrize("finding", [None, AWAY, SILENT], ids=["not sent", "held", "no answer"])
def test_after_a_delivery_in_vain_each_has_an_event(
    worker: SteppedWorker, sql: psycopg.Connection, index: Index, finding: object
) -> None:
    refuses(lambda _: finding, index, times=1)
    shop.waiting(sql, {"id": "1"})
    worker.work()
    assert index.documents() == shop.documents(sql)
    assert len(single(sql)) == MANY


def test_documents_that_are_gone_are_deleted_and_the_delete_is_sent_again(
    worker: SteppedWorker, sql: psycopg.Connection, index: Index
) -> None:
    shop.waiting(sql, {"id": "1"})
    worker.work()
    shop.waiting(sql, {"id": "1"})
    assert worker.expand()
    sql.execute("DELETE FROM shop.products WHERE id <= 3")
    worker.work()
    assert index.documents() == shop.documents(sql)
    again = sql.execute("SELECT document_id FROM outbox_deletes ORDER BY 1").fetchall()
    assert again == [("1",), ("2",), ("3",)]
    assert single(sql) == []


def test_what_a_dead_worker_held_is_sent_one_by_one(
    worker: SteppedWorker, sql: psycopg.Connection, index: Index
) -> None:
    shop.waiting(sql, {"id": "1"})
    assert worker.expand()
    sql.execute(
        "UPDATE search_outbox_events SET attempts = 1, error_reason = 'lease_expired',"
        f" next_retry_at = now() WHERE follow = {DOCUMENTS}"
    )
    worker.parts.reclaimed.expect()
    worker.work()
    assert index.documents() == shop.documents(sql)
    assert len(single(sql)) == MANY


def test_a_lane_leaves_the_next_ones_to_other_lanes(
    worker: SteppedWorker, sql: psycopg.Connection, index: Index
) -> None:
    sql.execute(MORE)
    states = list[Counter[object]]()

    def before(_: Sequence[BulkAction]) -> None:
        states.append(Counter(sql.execute(PAGES).fetchall()))

    index.before = before
    shop.waiting(sql, {"id": "1"})
    assert worker.expand()
    assert worker.expand()
    worker.work()
    assert states[0] == {("processing", 1, None): 1, ("pending", 0, None): 1}
    assert index.batches == [HALF, HALF]
    assert single(sql) == []


def test_events_for_which_there_is_no_room_beside_them_are_a_batch_of_their_own(
    worker: SteppedWorker, sql: psycopg.Connection, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.parts.flow, "together", lambda *_, **__: MANY)
    shop.changed(sql, *range(1, MANY))
    shop.waiting(sql, {"id": "1"})
    worker.work()
    assert index.batches == [MANY - 1, MANY]
    assert index.documents() == shop.documents(sql)
    assert len(single(sql)) == MANY - 1


def test_a_worker_whose_lease_is_lost_writes_no_event(
    worker: SteppedWorker, sql: psycopg.Connection, index: Index
) -> None:
    refuses(lambda action: REFUSED if action.id == "7" else "taken", index, times=1)
    refused = index.before

    def before(actions: Sequence[BulkAction]) -> Delivery | None:
        sql.execute(f"UPDATE search_outbox_events SET lease_token = '{uuid4()}' WHERE follow = {DOCUMENTS}")
        return refused(actions)

    index.before = before
    shop.waiting(sql, {"id": "1"})
    assert worker.expand()
    assert worker.deliver()
    assert sql.execute(PAGES).fetchall() == [("processing", 1, None)]
    assert single(sql) == []


def test_a_rebuild_follows_them(worker: SteppedWorker, sql: psycopg.Connection, db: Database) -> None:
    shop.waiting(sql, {"id": "1"})
    shop.waiting(sql, "{", follow=DOCUMENTS)  # nobody writes it
    worker.work()
    shop.changed(sql, "7")
    (now,) = sql.execute("SELECT now()").fetchone() or ()
    with db.begin() as connection:
        since = Since(now - timedelta(hours=1), now - timedelta(hours=1))
        found = [*events.changed(connection, "product", since, size=LEAST)]
    assert max(map(len, found)) == LEAST
    assert {pair for some in found for pair in some} == {(str(n), True) for n in range(1, MANY + 1)}


def test_what_is_on_its_way_to_the_index_is_read_again_after_a_truncate(
    worker: SteppedWorker, sql: psycopg.Connection, index: Index, db: Database
) -> None:
    """A document that was read before, and is in no list of the index yet, would stay for ever."""

    def before(_: Sequence[BulkAction]) -> None:
        index.before = lambda _: None
        sql.execute("TRUNCATE shop.products CASCADE")
        shop.waiting(sql, "", follow=EVERYTHING)
        with db.begin() as connection:
            (table,), token = follow_tables.waiting(connection), str(uuid4())
            event = follow.claim(connection, table, owner="w", token=token, lease=60, begun=False)
            assert event
            assert follow.begin(connection, event, token) == follow_keys.Page(MANY)

    index.before = before
    shop.waiting(sql, {"id": "1"})
    worker.work()
    assert index.documents() == {}


def test_what_was_read_ahead_goes_together_as_soon_as_the_index_takes_as_many(
    worker: SteppedWorker, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql.execute(MORE)
    takes = iter([0])
    monkeypatch.setattr(worker.parts.expander, "_together", lambda _: next(takes, 1_000))
    shop.waiting(sql, {"id": "1"})
    worker.work()
    assert len(single(sql)) == HALF
    assert sql.execute(PAGES).fetchall() == [("done", 1, None)]
