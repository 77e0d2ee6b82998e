"""The audit tells who did what to which events, and where they are now."""

import json
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from moments import NOW, at
from operations.failures import WHO, fail, fail_many
from outboxctl.core.database import Database
from outboxctl.core.operator import audit, moves
from outboxctl.core.operator.audit import events_of, recent_actions, states_of
from outboxctl.core.operator.selection import Selection, plan
from processes import Cli

INTERRUPTED = "an act that was killed after two of its batches"


def _batches(db: Database, act: str, action: str, *sizes: int, by: str = "alice") -> None:
    for place, size in enumerate(sizes):
        with db.begin() as connection:
            ids = [f"00000000-0000-0000-0000-{place:06}{n:06}" for n in range(size)]
            given = {"ids": ids, "act_id": act, "now": at(place)}
            audit.record(connection, action, by=by, reason=INTERRUPTED, filters={"limit": 9}, **given)  # type: ignore[arg-type]


def test_the_batches_of_an_act_are_one_line(db: Database) -> None:
    first, second = ("10000000-0000-0000-0000-000000000000", "20000000-0000-0000-0000-000000000000")
    _batches(db, first, "replay", 3, 2)
    _batches(db, second, "prune", 1, by="bob")
    with db.begin() as connection:
        old = audit.record(
            connection, "discard", by="bob", reason="x", filters={}, ids=[], affected=7, now=at(-9)
        )
        acts = recent_actions(connection, limit=10)
        assert [(a.id, a.action, a.affected, a.batches) for a in acts] == [
            (first, "replay", 5, 2),
            (second, "prune", 1, 1),
            (old, "discard", 7, 1),
        ]
        assert (acts[0].at, acts[0].ended_at, len(acts[0].event_ids)) == (at(0), at(1), 5)
        assert acts[0].event_ids == [event.id for event in events_of(connection, first)], "of all its batches"
        assert [a.id for a in recent_actions(connection, limit=1)] == [first]
        assert [a.id for a in recent_actions(connection, limit=9, by="bob")] == [second, old]
        assert [a.id for a in recent_actions(connection, limit=9, action="prune", by="bob")] == [second]
        assert [a.id for a in recent_actions(connection, limit=9, since=at(1))] == [first], "it ended then"
        assert recent_actions(connection, limit=9, since=NOW + timedelta(days=1)) == []


def test_a_repair_whose_batches_differ_is_one_act(cli: Cli, db: Database) -> None:
    id_ = "10000000-0000-0000-0000-000000000000"
    one, two, three = (f"00000000-0000-0000-0000-{n:012}" for n in range(3))
    batches: tuple[tuple[dict[str, object], list[str]], ...] = (
        ({"index": "i", "missing": 500}, [one]),
        ({"index": "i", "missing": 357, "stale": 2, "raised": {"page:a": [1, 2]}}, [two, three]),
        ({"index": "i", "raised": {"page:b": [None, 3]}}, []),
        ({"index": "i", "removed": ["x"]}, []),
        ({"index": "i", "removed": ["y"]}, []),
    )
    with db.begin() as connection:
        for place, (filters, ids) in enumerate(batches):
            given = {"filters": filters, "ids": ids, "act_id": id_, "now": at(place)}
            audit.record(connection, "repair", by="alice", reason="lost", affected=len(ids), **given)  # type: ignore[arg-type]
    (act,) = cli.json("audit")["audit"]
    assert (act["id"], act["affected"], act["batches"], act["event_ids"]) == (id_, 3, 5, [one, two, three])
    raised = {"page:a": [1, 2], "page:b": [None, 3]}
    whole = {"index": "i", "missing": 857, "stale": 2, "raised": raised, "removed": ["x", "y"]}
    assert act["filters"] == whole
    assert cli.json("audit", "--id", id_)["act"]["filters"] == whole
    assert "repair  3 events by alice" in cli.ok("audit", "--id", id_)


def test_the_events_of_one_act_and_where_they_are(cli: Cli, sql: psycopg.Connection, db: Database) -> None:
    fail(sql, "[/nope] \x1b[31m boom", attempts=9)
    fail_many(sql, 30, "connect")
    with db.begin() as connection:
        act = moves.replay(connection, plan(connection, Selection()), by="alice", reason="x").audit_id
    sql.execute(
        "UPDATE search_outbox_events SET status = 'failed' WHERE id IN (SELECT id FROM"
        " search_outbox_events LIMIT 5)"
    )
    told = cli.json("audit", "--id", str(act))
    assert told["act"]["affected"] == 31
    assert len(told["events"]) == 31
    assert {(e["error_reason"], e["attempts"]) for e in told["events"]} == {("mapping", 9), ("connect", 3)}
    shown = cli.ok("audit", "--id", str(act), "--limit", "31")
    assert "\x1b" not in shown
    assert "failed again" in shown
    assert "mapping" in shown
    assert "and 30 more (--limit)" in cli.ok("audit", "--id", str(act), "--limit", "1")


def test_filters_and_bad_ones(cli: Cli, sql: psycopg.Connection, db: Database) -> None:
    fail(sql)
    with db.begin() as connection:
        moves.discard(connection, plan(connection, Selection()), by="%", reason="x")
    assert [a["action"] for a in cli.json("audit", "--by", "%", "--action", "discard")["audit"]] == [
        "discard"
    ]
    assert cli.json("audit", "--by", "' OR 1=1 --")["audit"] == []
    assert cli.ok("audit", "--action", "replay").strip() == "Audit: none"
    for bad in (("--id", "x"), ("--id", "1" * 32), ("--since", "soon"), ("--by", "\x1b"), ("--action", "")):
        refused = cli("audit", *bad)
        assert (refused.returncode, refused.stdout) == (2, ""), bad
        assert refused.stderr
    refused = cli("audit", "--action", "replya")
    assert refused.returncode == 2
    assert "did you mean replay?" in refused.stderr


def test_a_discard_is_told_like_a_replay(cli: Cli, sql: psycopg.Connection) -> None:
    fail_many(sql, 1_200)
    done = cli.json("failed", "discard", *WHO, "--error-reason", "mapping", "--limit", "1100")
    (act,) = json.loads(cli.ok("audit", "--json"))["audit"]
    assert (act["id"], act["affected"], act["batches"]) == (done["audit_id"], 1_100, 2)
    told = cli.json("audit", "--id", act["id"])
    assert {event["id"] for event in told["events"]} == set(done["ids"])
    assert {event["now"] for event in told["events"]} == {"discarded"}, "which is not: delivered"
    assert act["filters"] == {"error_reason": "mapping", "limit": 1_100}


@pytest.mark.parametrize(
    "column", ["at = 'infinity'", "at = '-infinity'", "filters = '[1]'", "filters = '\"x\"'"]
)
def test_an_odd_row_hides_no_other(cli: Cli, sql: psycopg.Connection, db: Database, column: str) -> None:
    for by in ("alice", "bob"):
        with db.begin() as connection:
            odd = audit.record(connection, "replay", by=by, reason="x", filters={}, ids=[], now=at(0))
    sql.execute(f"UPDATE outbox_operator_audit SET {column} WHERE operator = 'bob'".encode())
    assert {row["operator"] for row in cli.json("audit")["audit"]} == {"alice", "bob"}
    assert "by bob" in cli.ok("audit", "--id", odd)


def test_a_page_of_an_act_holds_no_more_of_it(db: Database) -> None:
    act = "10000000-0000-0000-0000-000000000000"
    _batches(db, act, "replay", 3, 2)
    with db.begin() as connection:
        assert [event.id[-12:] for event in events_of(connection, act, limit=4)] == [
            "000000000000",
            "000000000001",
            "000000000002",
            "000001000000",
        ]
        assert states_of(connection, act) == {"gone": 5}


def test_a_filter_beside_an_id_is_refused(cli: Cli) -> None:
    """It was ignored: the act that was shown might be anybody's."""
    for flag, value in (("--action", "replay"), ("--by", "alice"), ("--since", "2026-02-03")):
        done = cli("audit", "--id", str(uuid4()), flag, value)
        assert done.returncode == 2
        assert f"{flag} does not go with it" in done.stderr
