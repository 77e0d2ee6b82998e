"""A document that cannot be read: its neighbours are delivered, and it ends with a name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed, claim
from outboxctl.core.documents.table import TableSource
from outboxctl.core.projections.documents import Documents
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Reason
from outboxctl.worker.projections.reading import Reading
from processes import Worker, eventually
from scene import Scene

# A type whose values become JSON by a function of ours: it stands for documents that take long to read.
ODD = """
CREATE TYPE odd AS ENUM ('usual', 'slow');
CREATE FUNCTION odd_to_json(o odd) RETURNS json LANGUAGE plpgsql AS $$ BEGIN
    IF o = 'slow' THEN PERFORM pg_sleep(60); END IF;
    RETURN '1';
END $$;
CREATE CAST (odd AS json) WITH FUNCTION odd_to_json(odd);
ALTER TABLE search_index ALTER COLUMN rank_score TYPE odd USING 'usual';
"""
SPOIL = """
UPDATE search_index SET rank_score = 'slow' WHERE (entity_type, entity_id) = (
    SELECT entity_type, entity_id FROM search_outbox_events ORDER BY created_at LIMIT 1)"""
FAILED = """
SELECT attempts, error_reason, error FROM search_outbox_events WHERE status = 'failed'"""
# A type whose values become JSON by a function of ours: it stands for whatever a column may compute.
RAISING = """
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION no_value() RETURNS json LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE TYPE odd AS ENUM ({labels});
CREATE FUNCTION odd_to_json(o odd) RETURNS json LANGUAGE plpgsql AS $$ BEGIN
    CASE o::text
        WHEN 'usual' THEN RETURN '1';
        WHEN '22012' THEN PERFORM 1 / (random() * 0)::int;
        WHEN '23514' THEN PERFORM (-1 - (random() * 0)::int)::public.positive;
        WHEN '2F005' THEN RETURN public.no_value();
        WHEN '42704' THEN PERFORM to_tsvector(o::text::regconfig, 'x');
        ELSE RAISE EXCEPTION 'raised with %', o USING ERRCODE = o::text;
    END CASE;
END $$;
CREATE CAST (odd AS json) WITH FUNCTION odd_to_json(odd);
ALTER TABLE search_index ALTER COLUMN rank_score TYPE odd USING 'usual';
"""
STATES = ["22012", "23514", "2F005", "42704", "08001", "38000", "42501", "42P01", "53100", "54000", "58030"]
STATES += ["57P01", "XX000", "ZZ999"]
SPOIL_EACH = """
UPDATE search_index SET rank_score = state::odd
FROM (SELECT entity_id AS id, row_number() OVER (ORDER BY id) AS n FROM search_outbox_events) e
JOIN unnest(%s::text[]) WITH ORDINALITY s (state, n) ON e.n = s.n * 7 WHERE entity_id = e.id
"""
FAILED_STATES = """
SELECT s.rank_score::text, e.attempts, e.error_reason, e.error
FROM search_outbox_events e JOIN search_index s ON s.entity_id = e.entity_id WHERE e.status = 'failed'
"""
HELD = "SELECT DISTINCT status, attempts FROM search_outbox_events"
TOTAL = 300


@pytest.mark.slow(reason="waits for several statement timeouts")
@pytest.mark.real_engine
def test_a_document_that_takes_too_long_is_retried_and_fails_in_the_end(
    scene: Scene, worker: Callable[..., Worker]
) -> None:
    scene.sql.execute(ODD)
    scene.load(1)
    scene.sql.execute(SPOIL)
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


class Passing(Deadline):
    """Has so many seconds left each time it is asked."""

    def __init__(self, lefts: list[float]) -> None:
        super().__init__(0.0)
        self._lefts = iter(lefts)

    def seconds_left(self) -> float:
        return next(self._lefts)


def claimed(db: Database) -> list[Claimed]:
    with db.begin() as connection:
        return claim(connection, owner="w", token=str(uuid4()), size=9, lease=30).events


@dataclass(frozen=True)
class Counted(TableSource):
    """Notes which keys were read together."""

    asked: list[list[str]] = field(default_factory=list)

    def latest(self, db: Database, keys: Sequence[str], **more: Any) -> Documents:
        self.asked.append([*keys])
        return super().latest(db, keys, **more)


@pytest.mark.parametrize(
    ("lefts", "document", "reason"),
    [
        ([20.0, 10.0], True, None),
        ([20.0, 0.0], False, Reason.BAD_DOCUMENT),
        ([0.0], False, Reason.TIMEOUT),
    ],
    ids=["in time", "too late", "too late before it began"],
)
def test_what_can_be_read_after_all_is_sent_if_there_is_time(
    db: Database, scene: Scene, lefts: list[float], document: bool, reason: Reason | None
) -> None:
    """An attempt counts only where it was the document that took the time."""
    scene.load(1)
    done = Reading(Counted(), db, deadline=Passing(lefts), max_bytes=10**9).run(claimed(db))
    assert bool(done.read) == document
    assert [finding.reason for _, finding in done.judged] == ([reason] if reason else [])


@pytest.fixture
def raising(scene: Scene) -> Scene:
    """Events, of which each 7th one's row raises, as long as there are SQLSTATEs."""
    labels = ", ".join(f"'{label}'" for label in ["usual", *STATES])
    scene.sql.execute(RAISING.format(labels=labels).encode())
    scene.load(TOTAL)
    scene.sql.execute(SPOIL_EACH, [STATES])
    return scene


def test_each_costs_its_own_event_whatever_postgresql_raises(
    raising: Scene, worker: Callable[..., Worker]
) -> None:
    assert worker("--drain").wait() == 0
    failed = {state: (rest, error) for state, *rest, error in raising.sql.execute(FAILED_STATES)}
    assert failed.keys() == {*STATES}
    for state, (rest, error) in failed.items():
        assert rest == [1, "bad_document"]
        assert state in error
    assert raising.count("done") == TOTAL - len(STATES)
    assert raising.sql.execute("SELECT max(attempts) FROM search_outbox_events").fetchone() == (1,)


def test_events_of_one_entity_share_one_read(scene: Scene, db: Database, sql: psycopg.Connection) -> None:
    """Read in two halves, the newer one would be sent with another version than its document has."""
    scene.load(4)
    (first, *_) = sql.execute("SELECT entity_id FROM search_outbox_events ORDER BY created_at, id").fetchall()
    again = "INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version)"
    sql.execute((again + " VALUES ('block', %s, 'upsert', 1)").encode(), first)
    source, events = Counted(), claimed(db)
    done = Reading(source, db, deadline=Deadline.within(30), max_bytes=10**9).run(events)
    assert sorted(id_ for ids in source.asked for id_ in ids) == sorted({e.document_id for e in events})
    assert (len(done.read), done.judged) == (5, [])
    assert all(event.document and event.source_version == 1 for event in done.read)


def test_a_source_of_which_no_row_can_be_read_costs_no_event_anything(
    scene: Scene, worker: Callable[..., Worker], sql: psycopg.Connection
) -> None:
    sql.execute("ALTER TABLE search_index RENAME TO kept")
    sql.execute("CREATE VIEW search_index AS SELECT *, 1 / 0 AS never FROM kept")
    sql.execute("ALTER VIEW search_index RENAME COLUMN rank_score TO given")
    sql.execute("ALTER VIEW search_index RENAME COLUMN never TO rank_score")
    scene.load(30)
    running = worker()
    eventually(lambda: "division by zero" in running.log.read_text())
    eventually(lambda: sql.execute(HELD).fetchall() == [("pending", 0)])
    sql.execute("DROP VIEW search_index; ALTER TABLE kept RENAME TO search_index")
    eventually(lambda: scene.count("done") == 30)
