"""A partitioned outbox whose unique key is not the id alone can hold one id twice: each row for itself."""

from collections.abc import Iterator
from contextlib import closing
from itertools import product

import psycopg
import pytest

from core.test_fence import HELD, TOKEN, act, moment
from moments import at, when
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.domain.lifecycle import TRANSITIONS, Status, Transition

EVENTS = "search_outbox_events"
PARTITIONED = f"""
CREATE TABLE {EVENTS} (id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE old PARTITION OF {EVENTS} FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE new PARTITION OF {EVENTS} DEFAULT;
"""
INSERT = f"""INSERT INTO {EVENTS} (id, created_at, entity_type, entity_id, op, event_version, status,
    attempts, owner, lease_token, lease_until, processing_started_at)
VALUES ('22222222-2222-2222-2222-222222222222', %(created_at)s, 'block', gen_random_uuid(), 'upsert', 1,
    %(status)s, %(attempts)s, %(owner)s, %(lease_token)s, %(lease_until)s, %(processing_started_at)s)
RETURNING id::text"""
SAID = f"""SELECT status, attempts, owner, lease_until, error_reason, processed_at, replay_count, updated_at
FROM {EVENTS} WHERE tableoid = 'old'::regclass"""
UNHELD = dict.fromkeys(HELD) | {"attempts": 1}
PAIRS = [(t, twin) for t, twin in product(TRANSITIONS, Status) if twin is not t.source]


@pytest.fixture
def partitioned(empty_url: str) -> Iterator[tuple[Database, psycopg.Connection]]:
    with closing(Database(empty_url)) as db, psycopg.connect(empty_url, autocommit=True) as sql:
        sql.execute(PARTITIONED.encode())
        upgrade(db, None)
        yield db, sql


def put(sql: psycopg.Connection, status: Status, created_at: object, held: dict[str, object]) -> str:
    row = sql.execute(INSERT, {"status": status, "created_at": created_at, **held}).fetchone()
    assert row
    return str(row[0])


@pytest.mark.parametrize(("move", "twin"), PAIRS, ids=[f"{t.verb}-beside-{twin}" for t, twin in PAIRS])
def test_a_twin_in_another_state_is_left_alone(
    partitioned: tuple[Database, psycopg.Connection], move: Transition, twin: Status
) -> None:
    db, sql = partitioned
    others = {"lease_token": "33333333-3333-3333-3333-333333333333", "lease_until": at(1_000)}
    put(sql, twin, "2025-01-01", HELD | others if twin is Status.PROCESSING else UNHELD)
    id_ = put(sql, move.source, "2026-02-01", HELD if move.source is Status.PROCESSING else UNHELD)
    before = sql.execute(SAID).fetchall()
    with when(db, moment(move.verb)) as connection:
        act(connection, move.verb, id_, TOKEN)
    assert sql.execute(SAID).fetchall() == before
    moved = sql.execute(f"SELECT status FROM {EVENTS} WHERE tableoid = 'new'::regclass").fetchall()
    assert moved == [(move.target,)]
