"""A row of search_index whose document raises costs its own event: all others are delivered."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import LEFT_OUT, claim
from outboxctl.domain.clock import Deadline
from outboxctl.worker import source_documents
from outboxctl.worker.source_documents import with_documents
from processes import Worker, eventually
from scene import Scene

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
SPOIL = """
UPDATE search_index SET rank_score = state::odd
FROM (SELECT entity_id AS id, row_number() OVER (ORDER BY id) AS n FROM search_outbox_events) e
JOIN unnest(%s::text[]) WITH ORDINALITY s (state, n) ON e.n = s.n * 7 WHERE entity_id = e.id
"""
FAILED = """
SELECT s.rank_score::text, e.attempts, e.error_reason, e.error
FROM search_outbox_events e JOIN search_index s ON s.entity_id = e.entity_id WHERE e.status = 'failed'
"""
HELD = "SELECT DISTINCT status, attempts FROM search_outbox_events"
TOTAL = 300


@pytest.fixture
def raising(scene: Scene) -> Scene:
    """Events, of which each 7th one's row raises, as long as there are SQLSTATEs."""
    labels = ", ".join(f"'{label}'" for label in ["usual", *STATES])
    scene.sql.execute(RAISING.format(labels=labels).encode())
    scene.load(TOTAL)
    scene.sql.execute(SPOIL, [STATES])
    return scene


def test_each_costs_its_own_event_whatever_postgresql_raises(
    raising: Scene, worker: Callable[..., Worker]
) -> None:
    assert worker("--drain").wait() == 0
    failed = {state: (rest, error) for state, *rest, error in raising.sql.execute(FAILED)}
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
    with db.begin() as connection:
        events = claim(connection, owner="w", token=str(uuid4()), size=9, lease=30, read=False)
    assert {event.document for event in events} == {LEFT_OUT}
    asked: list[list[str]] = []
    read = source_documents._read

    def counted(database: Database, most: int | None, ids: Sequence[str], seconds: float) -> Any:
        asked.append([*ids])
        return read(database, most, ids, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_documents, "_read", counted)
        whole, refusals = with_documents(db, events, deadline=Deadline.within(30), max_bytes=None)
    assert sorted(id_ for ids in asked for id_ in ids) == sorted({event.document_id for event in events})
    assert (len(whole), refusals) == (5, {})
    assert all(event.document and event.source_version == 1 for event in whole)


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
    assert sql.execute(HELD).fetchall() == [("pending", 0)]
    sql.execute("DROP VIEW search_index; ALTER TABLE kept RENAME TO search_index")
    eventually(lambda: scene.count("done") == 30)
