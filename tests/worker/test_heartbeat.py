"""Workers say how they are, and delivery never pays for it."""

import re
import signal
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from moments import at, when
from outboxctl.core.database import Database
from outboxctl.core.stats import workers
from outboxctl.core.stats.workers import KEPT, SILENT, HeartbeatRow, WorkerRow
from processes import Cli, Worker, eventually
from scene import Scene

BEAT = HeartbeatRow(
    id=str(uuid4()),
    worker_id="first",
    host="here",
    pid=7,
    version="1",
    uptime=60,
    in_flight=5,
    outage_policy="hold",
    circuit_open=False,
    completed=0,
)


def beat(db: Database, own: HeartbeatRow, inserted: int | None, seconds: float) -> int:
    with when(db, seconds) as connection:
        return workers.write_heartbeat(connection, own, inserted)


def seen(db: Database, seconds: float) -> list[WorkerRow]:
    with when(db, seconds) as connection:
        return workers.all_workers(connection)


def count(sql: psycopg.Connection) -> int:
    return len(sql.execute("SELECT FROM outbox_workers").fetchall())


def test_rates_are_of_the_time_since_the_last_heartbeat(
    db: Database, scene: Scene, sql: psycopg.Connection
) -> None:
    inserted = beat(db, BEAT, None, 0)
    first = seen(db, 1)[0]
    assert (first.rate_in, first.rate_out, first.heartbeat_age_seconds, first.alive) == (None, None, 1, True)
    scene.load(40)
    sql.execute("SELECT pg_stat_force_next_flush()")
    beat(db, replace(BEAT, completed=30, in_flight=9, circuit_open=True), inserted, 10)
    row = seen(db, 12)[0]
    assert (row.rate_in, row.rate_out, row.in_flight, row.circuit_open) == (4, 3, 9, True)
    assert sql.execute("SELECT started_at FROM outbox_workers").fetchall() == [(at(-60),)]


def test_the_flow_is_that_of_the_living_alone(db: Database, sql: psycopg.Connection) -> None:
    second = replace(BEAT, id=str(uuid4()), worker_id="second")
    for own, is_open in ((BEAT, False), (second, True)):
        inserted = beat(db, own, None, 0)
        beat(db, replace(own, completed=50, circuit_open=is_open), inserted - 20, 10)
    both = workers.flow(seen(db, 11))
    assert (both.rate_in, both.rate_out, both.circuit_open) == (2, 10, True)
    assert (both.drain_seconds(80), both.drain_seconds(0)) == (None, 0), "a circuit is open"
    closed = replace(both, circuit_open=False)
    assert (closed.drain_seconds(80), closed.drain_seconds(80, 8)) == (10, 10)
    assert closed.drain_seconds(80, 9) is None, "more than a tenth waits for a retry"
    beat(db, replace(BEAT, completed=5), -1_000, 20)
    one = workers.flow(seen(db, 10 + SILENT))
    assert [row.alive for row in seen(db, 10 + SILENT)] == [True, False]
    assert (one.rate_out, one.circuit_open) == (0.5, False)
    assert one.drain_seconds(1) is None, "more comes in than goes out"
    sql.execute("UPDATE outbox_workers SET rate_in = 'NaN', heartbeat_at = 'infinity', host = E'\\x1b[2J'")
    for odd in ('["a"], "seconds": 1', 'null, "seconds": "NaN"'):
        outages = f'[{{"reason": "", "projection": {odd}}}]'
        sql.execute("UPDATE outbox_workers SET outages = %s", [outages])
        rows = [(row.rate_in, row.alive, row.outages) for row in seen(db, 20)]
        assert rows == [(None, False, [])] * 2


def test_a_killed_worker_is_shown_with_what_it_holds_now(
    db: Database, scene: Scene, sql: psycopg.Connection
) -> None:
    """It stood there as silent, with the 2,729 in flight of its last heartbeat, for a day."""
    beat(db, replace(BEAT, in_flight=2_729), None, 0)
    scene.load(3)
    sql.execute("UPDATE search_outbox_events SET status = 'processing', owner = 'first'")
    shown = [(row.state, row.in_flight) for row in seen(db, SILENT + 1)]
    assert shown == [("silent", 3)]
    beat(db, replace(BEAT, id=str(uuid4()), in_flight=3), None, SILENT + 1)
    shown = [(row.state, row.in_flight) for row in seen(db, SILENT + 1)]
    assert shown == [("alive", 3), ("gone", 0)], "it is of the next one"
    sql.execute("UPDATE search_outbox_events SET status = 'done', owner = NULL")
    sql.execute("DELETE FROM outbox_workers WHERE id <> %s", [BEAT.id])
    assert [(row.state, row.in_flight) for row in seen(db, SILENT + 1)] == [("gone", 0)]


def test_who_fell_silent_a_day_ago_is_buried(db: Database, sql: psycopg.Connection) -> None:
    beat(db, BEAT, None, 0)
    other = replace(BEAT, id=str(uuid4()))
    beat(db, other, None, KEPT)
    assert count(sql) == 2
    beat(db, other, None, KEPT + 1)
    assert [row.id for row in seen(db, KEPT + 1)] == [other.id]


def test_a_worker_is_seen_while_it_runs_and_its_row_goes_with_it(
    worker: Callable[..., Worker], sql: psycopg.Connection
) -> None:
    clean, killed = worker(OUTBOX_OUTAGE_POLICY="hold"), worker(OUTBOX_WORKER_ID="the second")
    eventually(lambda: count(sql) == 2, what="both seen")
    rows = sql.execute("SELECT pid, outage_policy, worker_id FROM outbox_workers").fetchall()
    by_pid = {pid: rest for pid, *rest in rows}
    assert by_pid[clean.process.pid][0] == "hold"
    assert by_pid[killed.process.pid] == ["count", "the second"]
    clean.signal(signal.SIGTERM)
    killed.signal(signal.SIGKILL)
    assert (clean.wait(), killed.wait()) == (0, -signal.SIGKILL)
    assert sql.execute("SELECT worker_id FROM outbox_workers").fetchall() == [("the second",)]


@pytest.mark.parametrize("policy", ["count", "hold"])
def test_an_engine_that_is_away_is_the_first_line_of_status_and_a_finding_of_check(
    worker: Callable[..., Worker], sql: psycopg.Connection, scene: Scene, cli: Cli, policy: str
) -> None:
    scene.load(3)
    worker(OUTBOX_OUTAGE_POLICY=policy, ELASTIC_URL="http://127.0.0.1:1")
    first = "The engine is away since .* \\(connect\\): 3 events wait\n"
    eventually(lambda: re.match(first, cli.ok("status")), what="shown")
    sql.execute("UPDATE outbox_workers SET outages = jsonb_set(outages, '{0,seconds}', '11')")
    done = cli("check")
    assert done.returncode == 4
    assert re.search(
        "\naway: the search engine has been away for 1.*: 3 events wait.* doctor\n$", done.stdout
    )


def test_neither_a_locked_table_nor_none_at_all_costs_an_event(
    worker: Callable[..., Worker], url: str, sql: psycopg.Connection, scene: Scene
) -> None:
    scene.load(20)
    sql.execute("UPDATE search_outbox_events SET status = 'processing', lease_until = now(), owner = 'dead'")
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE outbox_workers")
        running = worker(OUTBOX_RECLAIM_INTERVAL_SECONDS="0.2")
        scene.finished_by(running, 20)  # reclaim comes from the thread that meets the lock
    sql.execute("DROP TABLE outbox_workers")
    scene.load(20)
    scene.finished_by(running, 40)
    running.signal()
    assert running.wait(5) == 0
