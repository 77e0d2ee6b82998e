"""A document that cannot be read with its claim: its neighbours are delivered, and it ends with a name."""

from collections.abc import Callable, Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import LEFT_OUT, claim
from outboxctl.domain.clock import Deadline
from outboxctl.domain.errors import CutOffError
from outboxctl.domain.failures import Reason
from outboxctl.worker.source_documents import with_documents
from processes import Worker, eventually
from scene import Scene

# A type whose values become JSON by a function of ours: it stands for documents that are cheap to store.
ODD = """
CREATE TYPE odd AS ENUM ('usual', 'too large', 'slow');
CREATE FUNCTION odd_to_json(o odd) RETURNS json LANGUAGE plpgsql AS $$ BEGIN
    IF o = 'too large' THEN
        RAISE EXCEPTION 'string buffer exceeds maximum allowed length' USING ERRCODE = '54000';
    ELSIF o = 'slow' THEN PERFORM pg_sleep(60);
    END IF;
    RETURN '1';
END $$;
CREATE CAST (odd AS json) WITH FUNCTION odd_to_json(odd);
ALTER TABLE search_index ALTER COLUMN rank_score TYPE odd USING 'usual';
"""
SPOIL = """
UPDATE search_index SET rank_score = %s WHERE (entity_type, entity_id) = (
    SELECT entity_type, entity_id FROM search_outbox_events ORDER BY created_at LIMIT 1)"""
LARGE = """
WITH written AS (
    INSERT INTO search_index (entity_type, entity_id, text, event_version)
    SELECT 'block', gen_random_uuid(), repeat({}, {}), 1 FROM generate_series(1, {}) RETURNING entity_id
)
INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version, created_at)
SELECT 'block', entity_id, 'upsert', 1, '2026-01-01' FROM written
"""
TOO_LARGE_BUT_TWO = """
WITH younger AS (
    UPDATE search_outbox_events SET created_at = '2026-01-02'
    WHERE id NOT IN (SELECT id FROM search_outbox_events ORDER BY id LIMIT 2) RETURNING entity_id
)
UPDATE search_index SET rank_score = 'too large' WHERE entity_id IN (SELECT entity_id FROM younger)
"""
FAILED = """
SELECT attempts, error_reason, error FROM search_outbox_events WHERE status = 'failed'"""


@pytest.mark.real_engine
@pytest.mark.parametrize("concurrency", ["1", "3"])
@pytest.mark.parametrize("policy", ["count", "hold"])
def test_a_document_beyond_the_servers_limit_fails_alone(
    scene: Scene, worker: Callable[..., Worker], concurrency: str, policy: str
) -> None:
    scene.sql.execute(ODD)
    scene.load(1)
    scene.sql.execute(SPOIL, ["too large"])
    scene.load(10)
    running = worker(OUTBOX_CONCURRENCY=concurrency, OUTBOX_OUTAGE_POLICY=policy)
    eventually(lambda: scene.count("done") == 10, what="its neighbours are delivered")
    eventually(lambda: scene.count("failed") == 1, what="it has ended")
    ((attempts, reason, error),) = scene.sql.execute(FAILED).fetchall()
    assert (attempts, reason) == (1, "bad_document")
    assert "54000 string buffer exceeds maximum allowed length" in error
    assert running.metric("outbox_terminal_failed_total", reason="bad_document") == 1
    scene.load(20)
    eventually(lambda: scene.count("done") == 30, what="all that comes later")


@pytest.mark.slow(reason="waits for several statement timeouts")
@pytest.mark.real_engine
def test_a_document_that_takes_too_long_is_retried_and_fails_in_the_end(
    scene: Scene, worker: Callable[..., Worker]
) -> None:
    scene.sql.execute(ODD)
    scene.load(1)
    scene.sql.execute(SPOIL, ["slow"])
    scene.load(10)
    running = worker(
        OUTBOX_LEASE_SECONDS="1", OUTBOX_BULK_SIZE="20", OUTBOX_CONCURRENCY="1", OUTBOX_MAX_ATTEMPTS="2"
    )
    eventually(lambda: scene.count("failed") == 1, within=120, what="it has ended")
    eventually(lambda: scene.count("done") == 10, what="its neighbours are delivered")
    ((attempts, reason, error),) = scene.sql.execute(FAILED).fetchall()
    assert (attempts, reason) == (2, "bad_document")
    assert "statement timeout" in error
    assert running.metric("outbox_retry_scheduled_total", reason="bad_document") == 1


@pytest.fixture
def hasty(url: str) -> Iterator[Database]:
    """A database whose statements may take two seconds."""
    with closing(Database(url, longest=2.2)) as db:
        yield db


def test_documents_without_room_are_not_made(db: Database, sql: psycopg.Connection) -> None:
    """Two of 3.6 MB have room. The server cannot make the others: the claim would fail if it tried."""
    sql.execute(ODD)
    sql.execute(LARGE.format("'x'", 3_600_000, 5))
    sql.execute(TOO_LARGE_BUT_TWO)
    with db.begin() as connection:
        events = claim(
            connection, owner="w", token=str(uuid4()), size=200, lease=30, max_bytes=8_000_000, measure=True
        )
    assert [len(e.document or "") > 3_600_000 for e in events] == [True, True] + 3 * [False]
    assert {e.document for e in events[2:]} == {LEFT_OUT}


class Passing(Deadline):
    """Has so many seconds left each time it is asked."""

    def __init__(self, lefts: list[float]) -> None:
        super().__init__(0.0)
        self._lefts = iter(lefts)

    def seconds_left(self) -> float:
        return next(self._lefts)


@pytest.mark.parametrize(
    ("lefts", "document", "reason"),
    [([20.0, 10.0], True, None), ([20.0, 0.0], False, Reason.BAD_DOCUMENT), ([0.0], False, None)],
    ids=["in time", "too late", "too late before it began"],
)
def test_what_can_be_read_after_all_is_sent_if_there_is_time(
    db: Database, scene: Scene, lefts: list[float], document: bool, reason: Reason | None
) -> None:
    """An attempt counts only where it was the document that took the time."""
    scene.load(1)
    with db.begin() as connection:
        (event,) = claim(connection, owner="w", token=str(uuid4()), size=1, lease=30, read=False)
    (whole,), refusals = with_documents(db, [event], deadline=Passing(lefts), max_bytes=None)
    assert bool(whole.document) == document
    assert [finding.reason for finding in refusals.values()] == ([reason] if reason else [])


def test_what_the_server_cut_off_is_told_from_a_server_that_is_away(hasty: Database) -> None:
    with pytest.raises(CutOffError, match="statement timeout"), hasty.begin() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(30)")
