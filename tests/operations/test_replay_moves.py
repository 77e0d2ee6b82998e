"""A replay goes in whole batches: paced, interruptible, beside another one, and the audit tells the truth."""

import json
import signal
import subprocess
from collections import Counter
from typing import Any

import psycopg
import pytest

from acceptance import lab
from operations.failures import WHO, fail_many
from outboxctl.core.database import Database
from outboxctl.core.operator.moves import replay
from outboxctl.core.operator.selection import Selection, plan
from processes import OUTBOXCTL, Cli, eventually


def _audited(sql: psycopg.Connection) -> list[str]:
    """Every event id of every audit row."""
    rows = sql.execute("SELECT unnest(event_ids)::text FROM outbox_operator_audit").fetchall()
    return [str(row[0]) for row in rows]


def _replayed(sql: psycopg.Connection) -> set[str]:
    rows = sql.execute("SELECT id::text FROM search_outbox_events WHERE replay_count = 1").fetchall()
    return {str(row[0]) for row in rows}


def _waiting(sql: psycopg.Connection) -> int:
    """How many wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    query += " AND wait_event_type = 'Lock'"
    return int(sql.execute(query).fetchall()[0][0])


def _start(cli: Cli, *args: str, json: bool = True, **more: Any) -> subprocess.Popen[str]:
    command = [*OUTBOXCTL, "replay", *WHO, *(["--json"] if json else []), *args]
    return subprocess.Popen(
        command, env=cli.env, cwd=cli.cwd, stdout=subprocess.PIPE, text=True, start_new_session=True, **more
    )


def test_interrupted_it_ends_after_whole_batches_and_says_what_was_done(
    cli: Cli, sql: psycopg.Connection
) -> None:
    fail_many(sql, 500)
    running = _start(cli, "--rate", "50")
    eventually(lambda: lab.by_status(sql).get("pending", 0) >= 50, what="a first batch")
    running.send_signal(signal.SIGINT)
    said = json.loads(running.communicate(timeout=20)[0])
    assert (running.returncode, said["interrupted"], said["matched"]) == (130, True, 500)
    assert said["replayed"] % 50 == 0
    assert set(said["ids"]) == set(_audited(sql)) == _replayed(sql)
    assert lab.by_status(sql) == {"pending": said["replayed"], "failed": 500 - said["replayed"]}


def test_killed_in_the_middle_the_audit_tells_of_what_was_done(cli: Cli, sql: psycopg.Connection) -> None:
    fail_many(sql, 500)
    running = _start(cli, "--rate", "100")
    eventually(lambda: lab.by_status(sql).get("pending", 0) >= 100, what="a first batch")
    running.kill()
    running.communicate(timeout=20)
    assert set(_audited(sql)) == _replayed(sql)
    assert len(_audited(sql)) % 100 == 0


@pytest.mark.slow(reason="thousands of rows, twice")
def test_two_at_once_never_take_a_row_twice(cli: Cli, sql: psycopg.Connection, url: str) -> None:
    fail_many(sql, 6_000)
    with psycopg.connect(url) as other:
        other.execute("LOCK outbox_operator_audit IN EXCLUSIVE MODE")
        both = [_start(cli), _start(cli)]
        eventually(lambda: _waiting(sql) == 2, what="both at their first batch")
    said = [json.loads(each.communicate(timeout=60)[0]) for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert Counter(said[0]["ids"] + said[1]["ids"]) == Counter(_replayed(sql))
    assert lab.by_status(sql) == {"pending": 6_000}
    assert max(Counter(_audited(sql)).values()) == 1


def test_it_waits_for_nobody_and_leaves_what_others_hold(db: Database, sql: psycopg.Connection) -> None:
    """A row under another operator's hand is his."""
    fail_many(sql, 10)
    with db.begin() as other, db.begin() as connection:
        held = plan(other, Selection(limit=4))
        replay(other, held, by="bob", reason="first")
        connection.exec_driver_sql("SET LOCAL lock_timeout = 1")
        done = replay(connection, plan(connection, Selection()), by="alice", reason="second")
        assert len(done) == 6
        assert not {*done} & set(held.ids)


def test_what_fails_again_meanwhile_is_not_replayed_again(db: Database, sql: psycopg.Connection) -> None:
    """Else a replay of what fails at once would never end."""
    fail_many(sql, 3)
    with db.begin() as connection:
        planned = plan(connection, Selection())
    for expected in (3, 0):
        with db.begin() as connection:
            assert len(replay(connection, planned, by="alice", reason="x")) == expected
        sql.execute("UPDATE search_outbox_events SET status = 'failed'")
    with db.begin() as connection:
        again = plan(connection, Selection())
        assert len(replay(connection, again, by="alice", reason="x")) == 3


def test_a_database_that_refuses_in_the_middle_is_told_with_what_was_done(
    cli: Cli, sql: psycopg.Connection
) -> None:
    fail_many(sql, 1_500)
    sql.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF (SELECT count(*) FROM outbox_operator_audit) > 0 THEN RAISE EXCEPTION 'disk on fire'; END IF;"
        " RETURN NEW; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON outbox_operator_audit FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    failed = cli("replay", *WHO)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "disk on fire" in failed.stderr
    assert "1,000 events were done before that" in failed.stderr
    assert lab.by_status(sql) == {"pending": 1_000, "failed": 500}
    assert set(_audited(sql)) == _replayed(sql)
