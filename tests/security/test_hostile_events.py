"""Events that a producer, a stolen worker or an older grant left: each ends by itself and stops no other."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import scene
import shop
from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import claim
from outboxctl.core.projections import follow
from outboxctl.core.schema.roles import Role
from outboxctl.domain.clock import monotonic
from outboxctl.worker import health
from outboxctl.worker.projections import expanding
from outboxctl.worker.wiring import WorkerParts
from processes import Cli
from projections.memory_index import parts_of
from security.as_roles import Roles

WHO = ("--by", "test", "--reason", "test", "--yes")
Sql = psycopg.Connection
AS_WORKER = {"OUTBOX_MAX_ATTEMPTS": "1"}


@pytest.fixture(autouse=True)
def _declared(db: Database, sql: Sql) -> None:
    """The shop with one product in one category, whose projection follows categories."""
    sql.execute(shop.SCHEMA)
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea')")
    sql.execute("INSERT INTO shop.products VALUES (1, 'p', 1, 1, 1)")
    shop.put_in_force(db, shop.product("no-index", follow=(shop.by_category(),)))


@pytest.fixture
def parts(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerParts]:
    """A worker's parts, whose turn of expanding ends at once."""
    monkeypatch.setattr(expanding, "WATCHED", 0)
    with closing(Database(url, connections=2)) as own:
        yield parts_of(own, max_attempts=1)


def event(sql: Sql, **columns: Any) -> None:
    """An event with these columns."""
    scene.event(sql, **{"entity_type": "product"} | columns)


def test_a_key_that_no_index_has_room_for_is_refused(as_roles: Roles) -> None:
    with psycopg.connect(as_roles.login("app", Role.PRODUCER), autocommit=True) as app:
        event(app, entity_key="k" * 8_192)
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="8192"):
            event(app, entity_key="k" * 8_193)
        event(app, entity_key="ü" * 4_096)


def test_one_that_is_there_fails_and_is_never_sent_to_a_worker(db: Database, cli: Cli, sql: Sql) -> None:
    """Ten of 30 MB, 3.6 MB on disk, ended each worker that had 512 MB."""
    event(sql, entity_key="k" * 30_000_000)
    event(sql, entity_key="1")
    event(sql, entity_key="x" * 30_000_000, follow=0)
    for key in ("2", "k" * 30_000_000):
        event(sql, entity_key=key, status="processing", lease_until="infinity")
    with db.begin() as connection:
        assert connection.execute(follow.IN_HAND, {"name": "product"}).scalars().all() == ["2"]
        taken = claim(connection, owner="o", token=str(uuid4()), size=10, lease=1)
        assert {len(each.document_id) for each in taken.events} <= {0, 1}
        connection.rollback()
    cli("worker", "--drain", env=AS_WORKER)
    (failed,) = [row for row in shop.rows(sql) if row[0] == "failed" and row[1] != "index_unavailable"]
    assert failed[1] == "deterministic_exception"
    assert "8,192 bytes" in failed[2]


@pytest.mark.parametrize("key", [f'{{"id": "{"1" * 9_000_000}"}}', None], ids=["long", "none"])
def test_a_change_whose_columns_cannot_be_read_stands_for_all_documents(
    parts: WorkerParts, sql: Sql, key: str | None
) -> None:
    """A trigger wrote it, and the application's statement did not fail. It stops no other, either."""
    event(sql, entity_key=key, follow=0, next_retry_at="infinity")
    parts.expander.turn(always=True)
    events = sql.execute("SELECT status, follow FROM search_outbox_events ORDER BY follow").fetchall()
    assert events == [("done", -1), ("done", 0), ("pending", None)]


@pytest.mark.parametrize("column", ["follow", "follow_cursor"])
def test_the_older_grant_of_all_columns_writes_no_follow_event(
    as_roles: Roles, sql: Sql, column: str
) -> None:
    url = as_roles.login("old")
    sql.execute(f"GRANT INSERT, SELECT (id) ON search_outbox_events TO {as_roles.prefix}old".encode())
    with psycopg.connect(url, autocommit=True) as old:
        event(old, event_version=1)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            event(old, **{column: 0})


@pytest.mark.parametrize(
    "cursor",
    [
        "{",
        "[" * 100_000,
        "7",
        '{"waits_for": ["x", "y"], "of": "OF"}',
        '{"done": "x", "of": "OF"}',
        '{"after": 1, "of": "OF"}',
        '{"index": "x", "of": "OF"}',
        '{"events": 7, "of": "OF"}',
        '{"after": "' + "k" * 2_000_000 + '"}',
    ],
    ids=lambda text: text[:20],
)
def test_a_cursor_that_is_none_fails_its_own_event(parts: WorkerParts, sql: Sql, cursor: str) -> None:
    """One of `{` stopped the following of all projections in all workers."""
    shop.waiting(sql, {"id": "2"})
    stamp = "(SELECT md5(definition::text || extract(epoch FROM applied_at)::text) FROM outbox_projections)"
    change = f"UPDATE search_outbox_events SET follow_cursor = replace(%s, 'OF', {stamp})"
    sql.execute(change.encode(), [cursor])
    shop.waiting(sql, {"id": "1"})
    for _ in range(3):
        parts.expander.turn(always=True)
    bad = "SELECT status, error_reason FROM search_outbox_events WHERE follow_cursor IS NOT NULL"
    assert sql.execute(bad).fetchall() == [("failed", "deterministic_exception")]
    others = "SELECT status FROM search_outbox_events WHERE follow_cursor IS NULL ORDER BY follow"
    assert sql.execute(others).fetchall() == [("done",), ("pending",)], "the event of its document"


def test_following_that_stands_still_is_seen_on_readyz(
    parts: WorkerParts, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [monotonic()]
    monkeypatch.setattr(health, "monotonic", lambda: now[0])
    shop.waiting(sql, {"id": "1"})
    for passed in (0, 200, 200):
        now[0] += passed
        parts.context.health.succeeded()  # lanes go on
        parts.maintenance.refresh_gauges()
    assert "changes" in parts.context.health.failing()["progress"]
    parts.expander.turn(always=True)
    parts.maintenance.refresh_gauges()
    assert "progress" not in parts.context.health.failing()


def test_drop_leaves_the_events_of_search_index(cli: Cli, sql: Sql) -> None:
    event(sql, event_version=1)
    event(sql, entity_key="1")
    assert cli.json("projection", "drop", "product", *WHO)["discarded"] == 1
    left = "SELECT status, error_reason FROM search_outbox_events WHERE entity_key IS NULL"
    assert sql.execute(left).fetchall() == [("pending", None)]


NOBODYS: dict[str, dict[str, Any]] = {
    "another name": {"entity_type": "product/0", "entity_key": "1"},
    "a slash": {"entity_type": "/", "entity_key": "1"},
    "follow": {"entity_type": "nobody", "entity_key": "{}", "follow": 0},
    "follow of search_index": {"follow": 0},
    "a place that is none": {"entity_type": "nobody", "follow": -9},
}


@pytest.mark.parametrize("columns", NOBODYS.values(), ids=NOBODYS)
def test_an_event_that_is_nobodys_ends_as_failed(sql: Sql, cli: Cli, columns: dict[str, Any]) -> None:
    sql.execute("DELETE FROM outbox_projections")
    event(sql, **columns)
    cli("worker", "--drain", env=AS_WORKER)
    ((status, reason, _),) = shop.rows(sql)
    assert (status, reason) == ("failed", "config")


def test_without_a_projection_in_force_a_daemon_ends_it_too(parts: WorkerParts, sql: Sql) -> None:
    sql.execute("DELETE FROM outbox_projections")
    event(sql, entity_type="nobody", follow=0, next_retry_at="infinity")
    with parts.context.database.begin() as connection:
        assert parts.expander.due(connection)
    parts.expander.turn()
    assert [row[:2] for row in shop.rows(sql)] == [("failed", "config")]
