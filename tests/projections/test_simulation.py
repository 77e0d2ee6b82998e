"""Whatever an application and a network do: an index ends with the rows of its view, and never goes back."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

import psycopg
import pytest

import shop
from outboxctl.core.database import Database
from outboxctl.core.delivery.leases import reclaim
from outboxctl.core.projections import follow_pages
from outboxctl.domain.clock import Deadline
from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.flow import index_state
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, Place
from processes import eventually
from projections import shop_tables
from projections.memory_index import LossyIndex, parts_of
from shop.sessions import EMPTY_ALL, trade
from worker_parts import running_lanes

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
REVISIONS = "shop.product_revisions"
UNFINISHED = """
SELECT entity_id, follow, status, attempts, lease_until::text, next_retry_at::text, now()::text, error
FROM search_outbox_events WHERE status IN ('pending', 'processing') LIMIT 5
"""
# As if the worker that holds them had stood still for longer than its lease. What is locked is being settled:
# to wait for it may end in a deadlock with a lane that has settled another part of it.
EXPIRE = """
UPDATE public.search_outbox_events SET lease_until = now() - interval '1 s' WHERE id IN (
    SELECT id FROM public.search_outbox_events WHERE status = 'processing' FOR UPDATE SKIP LOCKED)
"""


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few documents are enough to have one event, also soon after a request without an answer."""
    monkeypatch.setattr(follow_pages, "LEAST", 2)
    monkeypatch.setattr(index_state, "LIMIT_HOLD_SECONDS", 0.0)


@pytest.fixture
def traded(db: Database, sql: psycopg.Connection) -> Callable[[str], None]:
    """Puts the projection of revisions in force, into this index."""

    def of(index: str) -> None:
        sql.execute(shop.SCHEMA)
        shop_tables.watch(db, shop.put_in_force(db, shop.revisions(index)))

    return of


@contextmanager
def lanes(url: str, index: LossyIndex) -> Iterator[None]:
    """All lanes of a worker and its maintenance, in this process, that deliver to this index.

    Without maintenance a claim whose answer a deadlock has cost would keep its events for a whole lease.
    """
    db = Database(url, connections=LANES + 2)
    parts = parts_of(db, index, **SETTINGS)

    def freeze() -> None:
        with db.begin() as connection:
            connection.exec_driver_sql(EXPIRE)
            reclaim(connection, max_processing=600, max_attempts=1000)
        parts.reclaimed.expect()

    def expand() -> None:
        while not parts.context.signals.wait_for_stop(0.01):
            parts.expander.turn()
            parts.maintenance.turn()

    index.freeze = freeze
    expander = threading.Thread(target=expand, daemon=True)
    expander.start()
    try:
        with running_lanes(parts, LANES):
            yield
    finally:
        expander.join(30)
        index.settle()
        db.close()


def settled(sql: psycopg.Connection) -> None:
    """Wait until every event is; fail with those that are not."""
    try:
        eventually(lambda: not sql.execute(UNFINISHED).rowcount)
    except AssertionError:
        pytest.fail(f"not delivered: {sql.execute(UNFINISHED).fetchall()}")


@pytest.mark.slow(reason="25 rounds of random writers, frozen workers and late requests")
def test_lost_answers_late_requests_and_frozen_workers_leave_every_document_right(
    url: str, sql: psycopg.Connection, traded: Callable[[str], None]
) -> None:
    traded("revisions")
    index, compared = LossyIndex(Random(SEED)), 0
    with lanes(url, index):
        for number in range(ROUNDS):
            trade(url, SEED * 1000 + number)
            settled(sql)
            index.settle()
            held = index.documents()
            assert held == shop.documents(sql, REVISIONS), f"seed {SEED}, round {number}"
            compared += len(held)
        assert not index.wrong, f"seed {SEED}: {index.wrong}"
    assert sql.execute("SELECT DISTINCT status FROM search_outbox_events").fetchall() == [("done",)]
    assert compared > 3 * ROUNDS, "too few documents for a proof"
    assert min(index.faults.values()) > ROUNDS, index.faults
    # On a busy machine fewer are: a fifth of it was seen on one with ten times as many processes as cores.
    assert index.conflicts > ROUNDS // 5, "no request was too late"
    for kind in ("follow >= 0", "follow = -1", "follow = -2"):
        assert sql.execute(f"SELECT FROM search_outbox_events WHERE {kind}").rowcount > ROUNDS / 5, kind


class SlowIndex(LossyIndex):
    """An index without faults, whose first request arrives late: once `arrives` is set."""

    def __init__(self) -> None:
        super().__init__(Random(0), faults=("none",))
        self.asked, self.arrives = threading.Event(), threading.Event()

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """Wait, then deliver."""
        self.asked.set()
        assert self.arrives.wait(20)
        return super().deliver(actions, deadline=deadline)


def test_a_document_that_is_on_its_way_while_its_table_is_emptied_goes_as_well(
    url: str, sql: psycopg.Connection, traded: Callable[[str], None]
) -> None:
    """The index does not show it yet when its documents are listed, and the view not any more."""
    traded("revisions")
    index = SlowIndex()
    with lanes(url, index):
        sql.execute("INSERT INTO shop.products VALUES (1)")
        assert index.asked.wait(20)
        sql.execute(EMPTY_ALL)
        expanded = "SELECT FROM search_outbox_events WHERE follow = -1 AND status = 'done'"
        eventually(lambda: sql.execute(expanded).rowcount == 3, what="expanded")
        index.arrives.set()
        settled(sql)
        assert index.documents() == {}


class BusyIndex(LossyIndex):
    """An index without faults; `meanwhile` is called once, after its ids were listed for the first time."""

    def __init__(self, meanwhile: Callable[[LossyIndex], None]) -> None:
        super().__init__(Random(0), faults=("none",))
        self._meanwhile = [meanwhile]

    def ids(self, place: Place | None, size: int) -> tuple[list[str], Place | None]:
        """The ids as they were before it was called."""
        found = super().ids(place, size)
        while self._meanwhile:
            self._meanwhile.pop()(self)
        return found


def test_a_table_that_is_emptied_again_while_the_index_is_listed_leaves_nothing(
    url: str, sql: psycopg.Connection, traded: Callable[[str], None]
) -> None:
    """The second event is not expanded with the first: its documents are not in that list."""
    traded("revisions")

    def meanwhile(index: LossyIndex) -> None:
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("INSERT INTO shop.products VALUES (2)")
            eventually(lambda: "2" in index.documents())
            other.execute(EMPTY_ALL)

    index = BusyIndex(meanwhile)
    with lanes(url, index):
        sql.execute("INSERT INTO shop.products VALUES (1)")
        eventually(index.documents)
        sql.execute(EMPTY_ALL)
        settled(sql)
    assert index.documents() == {}


class ForgetfulIndex(LossyIndex):
    """An index that is away when its ids are asked for first, and later forgets its view once."""

    def __init__(self) -> None:
        super().__init__(Random(0), faults=("none",))
        self._problems, self._view = ["away", "forgets"], 0

    def ids(self, place: Place | None, size: int) -> tuple[list[str], Place | None]:
        """The ids, after both problems."""
        if place is None or len(self._problems) == 1:
            self._view += 1
        if self._problems == ["away", "forgets"] or (place and place["view"] != self._view):
            del self._problems[:1]
            raise UnreachableError("no such view")
        found, after = super().ids(place, size)
        return found, after and {**after, "view": self._view}


def test_a_truncated_tables_documents_go_once_the_index_can_be_listed(
    url: str, sql: psycopg.Connection, traded: Callable[[str], None]
) -> None:
    """Its place is kept for minutes only: after a longer pause the index is listed from its start."""
    traded("revisions")
    index = ForgetfulIndex()
    with lanes(url, index):
        sql.execute("INSERT INTO shop.products SELECT generate_series(1, 5)")
        eventually(lambda: len(index.documents()) == 5)
        sql.execute(EMPTY_ALL)
        eventually(lambda: not sql.execute(UNFINISHED).rowcount, within=10, what="delivered")
    assert index.documents() == {}


def test_a_document_that_is_linked_to_a_row_while_it_changes_has_the_change(
    url: str, sql: psycopg.Connection, traded: Callable[[str], None]
) -> None:
    """Whoever looks the documents up within the change misses it: the link is of an open transaction."""
    traded("revisions")
    sql.execute("INSERT INTO shop.categories VALUES (1)")
    index = LossyIndex(Random(0), faults=("none",))
    with lanes(url, index), psycopg.connect(url) as links, psycopg.connect(url) as changes:
        links.execute("INSERT INTO shop.products (id, category_id) VALUES (1, 1)")
        changes.execute("UPDATE shop.categories SET rev = nextval('shop.revisions')")
        links.commit()
        eventually(index.documents, what="delivered as it was before the change")
        changes.commit()
        settled(sql)
    assert index.documents() == shop.documents(sql, REVISIONS)
