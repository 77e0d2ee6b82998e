"""Every verb in every state: only its own from-state moves, and only with the fence of the claim.

A partitioned outbox whose unique key is not the id alone can hold one id twice: each row is moved for itself.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import product
from uuid import uuid4

import psycopg
import pytest

from moments import Insert, at, when
from outboxctl.core.database import Database
from outboxctl.core.delivery import settle
from outboxctl.core.delivery.claim import claim
from outboxctl.core.delivery.leases import reclaim, renew
from outboxctl.core.operator import audit, moves, selection
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.sql import Connection, text
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import TRANSITIONS, Status, Transition, Verb

TOKEN, OTHER = str(uuid4()), str(uuid4())
HELD = {
    "owner": "w",
    "lease_token": TOKEN,
    "lease_until": at(10),
    "processing_started_at": at(0),
    "attempts": 1,
}


def moment(verb: Verb) -> float:
    """5 s on; for maintenance 20 s, after the lease."""
    return 20 if verb in {Verb.RECLAIM, Verb.EXPIRE} else 5


def act(connection: Connection, verb: Verb, id_: str, token: str) -> None:
    """Do the verb as its actor would."""
    if verb in {Verb.REPLAY, Verb.DISCARD, Verb.UNDO, Verb.DROP}:
        _as_an_operator(connection, verb, id_)
    elif verb is Verb.CLAIM:
        claim(connection, owner="w2", token=token, size=10, lease=10)
    elif verb is Verb.RENEW:
        renew(connection, token, lease=10, max_processing=600)
    elif verb in {Verb.RECLAIM, Verb.EXPIRE}:
        reclaim(connection, max_processing=600, max_attempts=3 if verb is Verb.RECLAIM else 1)
    else:
        _settle(connection, verb, id_, token)


def _settle(connection: Connection, verb: Verb, id_: str, token: str) -> None:
    if verb is Verb.COMPLETE:
        settle.write(connection, token, done=[id_])
    elif verb in {Verb.RETRY, Verb.FAIL}:
        delay = 3 if verb is Verb.RETRY else None
        settle.write(connection, token, undelivered=[settle.Undelivered(id_, Reason.CONNECT, "x", delay)])
    else:
        assert verb is Verb.RELEASE
        settle.release(connection, [token])


def _as_an_operator(connection: Connection, verb: Verb, id_: str) -> None:
    if verb is Verb.UNDO:
        moves.undo(connection, _as_if_replayed(connection, id_), undoes=OTHER, by="alice", reason="test")
        return
    if verb is Verb.DROP:  # of a projection's events, which have a key
        connection.execute(text("UPDATE search_outbox_events SET entity_key = entity_id::text"))
        moves.discard_all(connection, "block", by="alice", reason="test", act_id=OTHER)
        return
    apply = moves.replay if verb is Verb.REPLAY else moves.discard
    apply(connection, selection.plan(connection, selection.Selection()), by="alice", reason="test")


def _as_if_replayed(connection: Connection, id_: str) -> str:
    """A replay is what last touched the event; returns the audit row."""
    connection.execute(text("UPDATE search_outbox_events SET last_replayed_at = now()"))
    row = audit.record(connection, "replay", by="alice", reason="test", filters={}, ids=[id_])
    said = "before_reasons = '{mapping}', before_errors = '{boom}', before_attempts = '{3}'"
    connection.execute(text(f"UPDATE outbox_operator_audit SET {said} WHERE id = :id"), {"id": row})
    return row


@pytest.mark.parametrize("state", list(Status))
@pytest.mark.parametrize("verb", list(Verb))
def test_state_and_verb(
    db: Database, sql: psycopg.Connection, insert: Insert, state: Status, verb: Verb
) -> None:
    id_ = insert(status=state, **(HELD if state is Status.PROCESSING else {"attempts": 1}))
    with when(db, moment(verb)) as connection:
        act(connection, verb, id_, TOKEN)
    expected = next((t.target for t in TRANSITIONS if t.verb is verb and t.source is state), state)
    row = sql.execute("SELECT status, owner, lease_until, lease_token FROM search_outbox_events").fetchone()
    assert row is not None
    assert row[0] == expected
    if expected is not Status.PROCESSING:
        assert row[1:] == (None, None, None)


@pytest.mark.parametrize("verb", [Verb.RENEW, Verb.COMPLETE, Verb.RETRY, Verb.FAIL, Verb.RELEASE])
def test_the_same_worker_with_another_claims_fence_changes_nothing(
    db: Database, sql: psycopg.Connection, insert: Insert, verb: Verb
) -> None:
    id_ = insert(status="processing", **HELD)
    before = sql.execute("SELECT * FROM search_outbox_events").fetchall()
    with when(db, moment(verb)) as connection:
        act(connection, verb, id_, OTHER)
    assert sql.execute("SELECT * FROM search_outbox_events").fetchall() == before


def test_settling_says_what_it_hit(db: Database, insert: Insert) -> None:
    ours, theirs, over = (
        insert(status="processing", **HELD),
        insert(status="processing", **HELD | {"lease_token": OTHER}),
        insert(status="done"),
    )
    with db.begin() as connection:
        assert settle.write(connection, TOKEN, done=[ours, theirs, over]).hit == {ours}


@pytest.mark.parametrize(("token", "attempts"), [(TOKEN, [1, 0]), (OTHER, [1, 1])], ids=["ours", "another's"])
def test_a_retry_can_give_its_attempt_back(
    db: Database, insert: Insert, sql: psycopg.Connection, token: str, attempts: list[int]
) -> None:
    ids = [insert(status="processing", **HELD) for _ in attempts]
    retries = [settle.Undelivered(id_, Reason.CONFIG, "x", 3, bool(n)) for n, id_ in enumerate(ids)]
    with db.begin() as connection:
        hit = settle.write(connection, token, undelivered=retries).hit
        assert hit == ({*ids} if token == TOKEN else set())
    query = "SELECT attempts FROM search_outbox_events WHERE id = %s"
    assert [sql.execute(query, [id_]).fetchone() for id_ in ids] == [(n,) for n in attempts]


def test_of_one_batch_some_are_due_again_and_others_have_failed(
    db: Database, insert: Insert, sql: psycopg.Connection
) -> None:
    again, over = (insert(status="processing", **HELD) for _ in range(2))
    with when(db, 5) as connection:
        undelivered = [
            settle.Undelivered(again, Reason.CONNECT, "x", 3),
            settle.Undelivered(over, Reason.MAPPING, "y"),
        ]
        assert settle.write(connection, TOKEN, undelivered=undelivered).hit == {again, over}
    rows = sql.execute(
        "SELECT id::text, status, next_retry_at, error_reason, error FROM search_outbox_events"
    )
    assert {*rows.fetchall()} == {
        (again, "pending", at(8), "connect", "x"),
        (over, "failed", None, "mapping", "y"),
    }


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
