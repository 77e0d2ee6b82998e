"""Prune deletes what was done long enough ago, says so in the audit, and touches nothing else."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from acceptance import lab
from outboxctl.core.database import Database
from outboxctl.core.operator import prune as core
from outboxctl.core.operator.selection import Selection, plan
from outboxctl.domain.errors import OutboxctlError
from outboxctl.operations import prune
from processes import Cli

CUTOFF = datetime(2026, 6, 8, 12, tzinfo=UTC)
ROW = """
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, processed_at, error)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, %s, %s::timestamptz, repeat('x', %s)
FROM generate_series(1, %s)
"""


def put(sql: psycopg.Connection, status: str, processed: str | None, *, rows: int = 1, size: int = 0) -> None:
    sql.execute(ROW, [status, processed, size, rows])


def left(sql: psycopg.Connection) -> list[tuple[Any, ...]]:
    query = (
        "SELECT status, processed_at::text, count(*) FROM search_outbox_events GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return sql.execute(query).fetchall()


def audited(sql: psycopg.Connection) -> int:
    query = "SELECT coalesce(sum(affected), 0)::int FROM outbox_operator_audit WHERE action = 'prune'"
    return int(sql.execute(query).fetchall()[0][0])


def run(
    db: Database,
    *,
    stop: threading.Event | None = None,
    rate: float = 1e9,
    advance: Callable[[int], object] = lambda _: None,
) -> prune.Pruned:
    with db.begin() as connection:
        made = core.plan(connection, datetime.now(UTC) - CUTOFF)
    given: dict[str, Any] = {"by": "alice", "reason": "retention", "filters": {"older_than": "7d"}}
    return prune.apply(db, made, stop=stop or threading.Event(), rate=rate, advance=advance, **given)


def test_only_done_rows_before_the_cutoff_go(db: Database, sql: psycopg.Connection) -> None:
    old, edge, young = "2026-06-08 11:59:59+00", "2026-06-08 12:01:00+00", "2026-06-15 11:00:00+00"
    for status in ("pending", "processing", "done", "failed"):
        for processed in (old, edge, young, None):
            put(sql, status, processed)
    put(sql, "done", "-infinity")
    put(sql, "done", "infinity")
    with db.begin() as connection:
        made = core.plan(connection, datetime.now(UTC) - CUTOFF)
        assert core.count(connection, made) == 2
    assert run(db).rows == 2
    assert [row for row in left(sql) if row[0] == "done"] == [
        ("done", "2026-06-08 12:01:00+00", 1),
        ("done", "2026-06-15 11:00:00+00", 1),
        ("done", "infinity", 1),
        ("done", None, 1),
    ]
    assert sum(row[2] for row in left(sql) if row[0] != "done") == 12
    again = run(db)
    assert (again.rows, again.audit_id, audited(sql)) == (0, None, 2)


def test_a_discarded_event_is_done_too(db: Database, sql: psycopg.Connection) -> None:
    from outboxctl.core.operator import moves

    put(sql, "failed", None)
    with db.begin() as connection:
        moves.discard(connection, plan(connection, Selection()), by="a", reason="b")
    sql.execute("UPDATE search_outbox_events SET processed_at = %s", [CUTOFF - timedelta(days=1)])
    assert run(db).rows == 1


def test_a_row_that_somebody_makes_failed_meanwhile_is_kept(
    url: str, db: Database, sql: psycopg.Connection
) -> None:
    put(sql, "done", "2026-01-01", rows=2)
    ended: list[prune.Pruned] = []
    with psycopg.connect(url) as other:
        other.execute(
            "UPDATE search_outbox_events SET status = 'failed'"
            " WHERE id = (SELECT max(id::text)::uuid FROM search_outbox_events)"
        )
        thread = threading.Thread(target=lambda: ended.append(run(db)))
        thread.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while sql.execute(waiting).fetchall() == [(0,)]:
            assert thread.is_alive()
    thread.join()
    assert [(row[0], row[2]) for row in left(sql)] == [("failed", 1)]
    assert (ended[0].rows, audited(sql)) == (1, 1)


def test_a_batch_that_cannot_be_audited_deletes_nothing(db: Database, sql: psycopg.Connection) -> None:
    put(sql, "done", "2026-01-01", rows=10)
    sql.execute("ALTER TABLE outbox_operator_audit ADD CHECK (action <> 'prune')")
    with pytest.raises(OutboxctlError):
        run(db)
    assert left(sql) == [("done", "2026-01-01 00:00:00+00", 10)]


def test_a_dry_run_counts_and_changes_no_bit(cli: Cli, sql: psycopg.Connection) -> None:
    put(sql, "done", "2020-01-01", rows=40)
    put(sql, "failed", None, rows=3)
    before = lab.state(sql)
    seen = cli.json("prune", "--older-than", "7d", "--dry-run")
    assert (seen["matched"], seen["dry_run"], seen["audit_id"], seen["older_than"]) == (40, True, None, "7d")
    assert "40 events" in cli.ok("prune", "--older-than", "7d", "--dry-run")
    assert lab.state(sql) == before


def test_the_command_prunes_and_the_audit_tells_it_back(cli: Cli, sql: psycopg.Connection) -> None:
    put(sql, "done", "2020-01-01", rows=40)
    put(sql, "done", "2999-01-01", rows=2)
    seen = cli.json("prune", "--older-than", "90s", "--by", "alice", "--reason", "disk is dear")
    assert (seen["pruned"], seen["dry_run"]) == (40, False)
    assert datetime.fromisoformat(seen["cutoff"]) < datetime.now(UTC) - timedelta(seconds=90)
    assert sum(row[2] for row in left(sql)) == 2
    rows = sql.execute(
        "SELECT act_id::text, operator, reason, affected FROM outbox_operator_audit"
    ).fetchall()
    assert rows == [(seen["audit_id"], "alice", "disk is dear", 40)]
    nothing = cli.json("prune", "--older-than", "90s")
    assert (nothing["pruned"], nothing["audit_id"]) == (0, None)
