"""A migration that cannot have its lock at once gives way: nobody queues behind it for long."""

import threading
from collections.abc import Iterator

import psycopg
import pytest

from core.test_migrations import LAB
from outboxctl.core.database import Database
from outboxctl.core.schema import lock_wait
from outboxctl.core.schema.marker import current
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.schema.names import HEAD
from outboxctl.domain.errors import LockedError
from processes import Cli, eventually

EVENT = """
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, attempts,
    replay_count, created_at, updated_at)
VALUES (gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'pending', 0, 0, now(), now())
"""
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'search_outbox_events'::regclass"


@pytest.fixture
def previous(empty_url: str) -> Iterator[Database]:
    """The tables of an application, which an upgrade adopts."""
    db = Database(empty_url, connections=4)
    with psycopg.connect(empty_url, autocommit=True) as sql:
        sql.execute(LAB)
    yield db
    db.close()


def test_a_writer_waits_no_longer_than_one_try(
    previous: Database, empty_url: str, raw: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_wait, "PAUSE", 0.2)
    told: list[str] = []
    with psycopg.connect(empty_url, application_name="a dump\x1b") as long:
        long.execute("SELECT count(*) FROM search_outbox_events")
        migrating = threading.Thread(target=upgrade, args=(previous, None), kwargs={"report": told.append})
        migrating.start()
        eventually(lambda: raw.execute(WAITING).fetchone() == (1,), what="it waits for its lock")
        raw.execute("SET statement_timeout = '5s'")
        for _ in range(20):  # through the gaps
            raw.execute(EVENT)
        eventually(lambda: told, what="it says who is in the way")
        assert f"pid {long.info.backend_pid}, {long.info.user} (a dump" in told[0]
        assert "\x1b" not in told[0]
    migrating.join(30)
    with previous.begin() as connection:
        assert current(connection) == HEAD
    assert raw.execute("SELECT count(traceparent), count(*) FROM search_outbox_events").fetchone() == (0, 20)


def test_it_is_given_up_with_a_name_and_nothing_changed(cli: Cli, previous: Database, empty_url: str) -> None:
    with psycopg.connect(empty_url) as long:
        long.execute("SELECT count(*) FROM search_outbox_events")
        done = cli("db", "upgrade", "--wait", "0", env={"DATABASE_URL": empty_url})
        assert f"pid {long.info.backend_pid}" in done.stderr
    assert done.returncode == 3
    assert "nothing was changed" in done.stderr
    assert "pg_terminate_backend" in done.stderr
    with previous.begin() as connection:
        assert current(connection) is None


def test_two_at_once_run_one_after_the_other_and_neither_waits_for_ever(
    previous: Database, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_wait, "PAUSE", 0.01)
    with psycopg.connect(empty_url, application_name="migration job") as other:
        other.execute(f"SELECT pg_advisory_xact_lock({lock_wait.KEY})")
        with pytest.raises(LockedError, match=f"pid {other.info.backend_pid}, .* .migration job"):
            upgrade(previous, None, patience=0)
    assert upgrade(previous, None).before is None
