"""A replay touches exactly its selection, and leaves its mark."""

from uuid import uuid4

import psycopg
import pytest

from moments import Insert, at, when
from outboxctl.core.database import Database
from outboxctl.core.operator import failed, moves, selection
from outboxctl.core.operator.audit import recent_actions
from outboxctl.core.operator.selection import MovePlan, Selection, plan
from outboxctl.core.sql import TextClause, text
from outboxctl.domain.failures import NO_REASON, Reason

FAILED = {"status": "failed", "attempts": 3, "error": "boom"}


def planned(db: Database, **selection: object) -> MovePlan:
    with db.begin() as connection:
        return plan(connection, Selection(**selection))  # type: ignore[arg-type]


def applied(db: Database, chosen: MovePlan) -> list[str]:
    with when(db, 5) as connection:
        return moves.replay(connection, chosen, by="alice", reason="fixed root cause")


def test_every_filter_selects_what_it_says(db: Database, insert: Insert) -> None:
    a = insert(**FAILED, error_reason="mapping", created_at=at(0))
    b = insert(**FAILED, error_reason="connect", created_at=at(10), entity_type="page")
    insert(status="done"), insert(), insert(status="processing")
    assert planned(db).ids == [a, b]
    assert planned(db, limit=1).ids == [a]
    assert planned(db, limit=1).matched == 2
    assert planned(db, ids=[b]).ids == [b]
    assert planned(db, error_reason=Reason.CONNECT).ids == [b]
    unsaid = insert(**FAILED, error_reason=None, created_at=at(-9))
    assert planned(db, error_reason=NO_REASON).ids == [unsaid]
    (cause,) = planned(db, until=at(-1)).causes
    assert (cause.error_reason, cause.count) == ("none", 1), "as it is called where it is shown"
    assert planned(db, entity_type="page").ids == [b]
    assert planned(db, entity_type="%").ids == []
    assert planned(db, since=at(5)).ids == [b]
    assert planned(db, since=at(0), until=at(10)).ids == [a]
    assert planned(db, error_reason=Reason.MAPPING, since=at(5)).matched == 0


def test_a_replayed_event_is_as_new_but_for_its_history(
    db: Database, insert: Insert, sql: psycopg.Connection
) -> None:
    id_ = insert(**FAILED, error_reason="mapping", replay_count=1)
    done = applied(db, planned(db))
    assert done == [id_]
    row = sql.execute(
        "SELECT status, attempts, next_retry_at, error, error_reason, replay_count, last_replayed_at,"
        " last_replayed_by, last_replayed_reason FROM search_outbox_events"
    ).fetchone()
    assert row == ("pending", 0, None, None, None, 2, at(5), "alice", "fixed root cause")
    with db.begin() as connection:
        (audit,) = recent_actions(connection, limit=10)
    assert (audit.action, audit.operator, audit.affected) == ("replay", "alice", 1)


def test_a_plan_that_somebody_else_carried_out_does_nothing(db: Database, insert: Insert) -> None:
    insert(**FAILED)
    stale = planned(db)
    applied(db, stale)
    assert applied(db, stale) == []


def test_given_ids_are_looked_up_though_statistics_say_that_nothing_failed(
    db: Database, sql: psycopg.Connection
) -> None:
    """Each failed event would be compared with every id: 20,000 with a million took 40 seconds."""
    many = (
        "INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version, status)"
        " SELECT 'block', gen_random_uuid(), 'upsert', 1, %s FROM generate_series(1, %s)"
    )
    sql.execute(many, ["done", 2_000])
    sql.execute("ANALYZE search_outbox_events")
    sql.execute(many, ["failed", 500])
    given = dict.fromkeys(("error_reason", "entity_type", "since", "until", "limit"))
    for query in (selection.SELECT, selection.CAUSES, failed.FAILED_ROWS):
        with db.begin() as connection:
            chosen = plan(connection, Selection(ids=[str(uuid4())]))  # how it looks them up, for what follows
            explain = text(f"EXPLAIN {query.format(which=selection.BY_ID)}")
            lines = connection.execute(explain, given | {"ids": [str(uuid4())]}).scalars().all()
        assert chosen.matched == 0
        assert any("search_outbox_events_pkey" in line for line in lines)
        assert not any("ix_search_outbox_events" in line for line in lines)


@pytest.mark.parametrize("statement", [moves.REPLAY, moves.DISCARD, moves.UNDO])
def test_a_batch_finds_its_events_by_their_ids_alone(db: Database, statement: TextClause) -> None:
    """By a partial index it would read all that failed for each batch, when statistics say that few did."""
    given = statement.compile().params | {"ids": [str(uuid4())], "batch": str(uuid4())}
    with db.begin() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = text(f"EXPLAIN {statement.text}")
        lines = connection.execute(explain, given).scalars().all()
    assert any("search_outbox_events_pkey" in line for line in lines)
    assert not any("ix_search_outbox_events" in line for line in lines)
