"""The audit tells who did what to which events, and where they are now."""

import json
from datetime import timedelta

import psycopg

from moments import NOW, at
from operations.failures import WHO, fail, fail_many
from outboxctl.core.database import Connection, Database
from outboxctl.core.operator import audit, moves
from outboxctl.core.operator.audit import events_of, recent_actions
from outboxctl.core.operator.selection import Selection, plan
from outboxctl.core.sql import text
from processes import Cli

INTERRUPTED = "an act that was killed after two of its batches"


def _batches(db: Database, act: str, action: str, *sizes: int, by: str = "alice") -> None:
    for place, size in enumerate(sizes):
        with db.begin() as connection:
            ids = [f"00000000-0000-0000-0000-{place:06}{n:06}" for n in range(size)]
            said = {"by": by, "reason": INTERRUPTED, "filters": {"limit": 9}}
            row = audit.record(connection, action, ids=ids, act_id=act, **said)  # type: ignore[arg-type]
            _dated(connection, row, place)


def _dated(connection: Connection, row: str, seconds: float) -> None:
    values = {"id": row, "at": at(seconds)}
    connection.execute(text("UPDATE outbox_operator_audit SET at = :at WHERE id = CAST(:id AS uuid)"), values)


def test_the_batches_of_an_act_are_one_line(db: Database) -> None:
    first, second = ("10000000-0000-0000-0000-000000000000", "20000000-0000-0000-0000-000000000000")
    _batches(db, first, "replay", 3, 2)
    _batches(db, second, "prune", 1, by="bob")
    with db.begin() as connection:
        old = audit.record(connection, "discard", by="bob", reason="x", filters={}, ids=[], affected=7)
        _dated(connection, old, -9)
        acts = recent_actions(connection, limit=10)
        assert [(a.id, a.action, a.affected, a.batches) for a in acts] == [
            (first, "replay", 5, 2),
            (second, "prune", 1, 1),
            (old, "discard", 7, 1),
        ]
        assert (acts[0].at, acts[0].ended_at) == (at(0), at(1))
        assert len([*events_of(connection, first)]) == 5, "of all its batches"
        assert [a.id for a in recent_actions(connection, limit=1)] == [first]
        assert [a.id for a in recent_actions(connection, limit=9, by="bob")] == [second, old]
        assert [a.id for a in recent_actions(connection, limit=9, action="prune", by="bob")] == [second]
        assert [a.id for a in recent_actions(connection, limit=9, since=at(1))] == [first], "it ended then"
        assert recent_actions(connection, limit=9, since=NOW + timedelta(days=1)) == []


def test_the_events_of_one_act_and_where_they_are(cli: Cli, sql: psycopg.Connection, db: Database) -> None:
    fail(sql, "[/nope] \x1b[31m boom", attempts=9)
    fail_many(sql, 30, "connect")
    with db.begin() as connection:
        moves.replay(connection, plan(connection, Selection()), by="alice", reason="x")
        act = audit.recent_actions(connection, limit=1)[0].id
    sql.execute(
        "UPDATE search_outbox_events SET status = 'failed' WHERE id IN (SELECT id FROM"
        " search_outbox_events LIMIT 5)"
    )
    told = cli.json("audit", "--id", act)
    assert told["act"]["affected"] == 31
    assert len(told["events"]) == 31
    assert {(e["error_reason"], e["attempts"]) for e in told["events"]} == {("mapping", 9), ("connect", 3)}
    shown = cli.ok("audit", "--id", act, "--limit", "31")
    assert "\x1b" not in shown
    assert "failed again" in shown
    assert "mapping" in shown
    assert "and 30 more (--limit)" in cli.ok("audit", "--id", act, "--limit", "1")


def test_filters(cli: Cli, sql: psycopg.Connection, db: Database) -> None:
    fail(sql)
    with db.begin() as connection:
        moves.discard(connection, plan(connection, Selection()), by="%", reason="x")
    assert [a["action"] for a in cli.json("audit", "--by", "%", "--action", "discard")["audit"]] == [
        "discard"
    ]
    assert cli.json("audit", "--by", "' OR 1=1 --")["audit"] == []
    assert cli.ok("audit", "--action", "replay").strip() == "Audit: none"


def test_a_discard_is_told_like_a_replay(cli: Cli, sql: psycopg.Connection) -> None:
    fail_many(sql, 1_200)
    done = cli.json("failed", "discard", *WHO, "--error-reason", "mapping", "--limit", "1100")
    (act,) = json.loads(cli.ok("audit", "--json"))["audit"]
    assert (act["id"], act["affected"], act["batches"]) == (done["audit_id"], 1_100, 2)
    told = cli.json("audit", "--id", act["id"])
    assert {event["id"] for event in told["events"]} == set(done["ids"])
    assert {event["now"] for event in told["events"]} == {"discarded"}, "which is not: delivered"
    assert act["filters"] == {"error_reason": "mapping", "limit": 1_100}
