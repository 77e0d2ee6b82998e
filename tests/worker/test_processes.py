"""Real workers, real signals: what an operator would lose if any of this broke."""

import signal
from collections.abc import Callable
from time import monotonic

import psycopg
import pytest
from elasticsearch import Elasticsearch

from invariants import check_invariants
from processes import Cli, Worker, eventually

Start = Callable[..., Worker]
QUICK = {"OUTBOX_LEASE_SECONDS": "2", "OUTBOX_RECLAIM_INTERVAL_SECONDS": "1", "OUTBOX_BULK_SIZE": "50"}


def count(sql: psycopg.Connection, status: str) -> int:
    row = sql.execute("SELECT count(*) FROM search_outbox_events WHERE status = %s", (status,)).fetchone()
    return int(row[0]) if row else 0


def seconds_to_stop(running: Worker) -> float:
    """From SIGTERM to exit code 0."""
    running.signal(signal.SIGTERM)
    began = monotonic()
    assert running.wait(timeout=10) == 0
    return monotonic() - began


def load(cli: Cli, total: int) -> None:
    cli.ok("inject", "load", "--total", str(total), "--rate", "0", "--per-transaction", "200")


def test_a_killed_worker_loses_nothing(
    cli: Cli, worker: Start, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    load(cli, 5000)
    first = worker(**QUICK)
    eventually(lambda: count(sql, "processing") and count(sql, "done"), what="caught in the middle")
    first.signal(signal.SIGKILL)
    first.wait()
    held = count(sql, "processing")
    second = worker(**QUICK)
    eventually(lambda: count(sql, "done") == 5000, within=60, what="all done")
    assert held > 0
    assert "stuck outbox events (expired lease or max processing exceeded)" in second.log.read_text()
    assert second.metric("outbox_reclaimed_total") == held
    check_invariants(sql, engine, index, rows=5000)


def test_sigterm_ends_well_and_leaves_nothing_held(
    cli: Cli, worker: Start, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    load(cli, 3000)
    running = worker(**QUICK)
    eventually(lambda: count(sql, "done"), what="under way")
    running.signal(signal.SIGTERM)
    assert running.wait(timeout=10) == 0
    assert count(sql, "processing") == 0
    check_invariants(sql, engine, index, rows=3000)


def test_sigterm_with_a_hanging_sink_gives_the_batch_back_untried(
    cli: Cli, worker: Start, sql: psycopg.Connection, silent_sink: str
) -> None:
    load(cli, 10)
    running = worker(ELASTIC_URL=silent_sink, OUTBOX_SHUTDOWN_GRACE_SECONDS="2")
    eventually(lambda: count(sql, "processing") == 10, what="claimed")
    assert seconds_to_stop(running) < 3, "within the grace and a second"
    rows = sql.execute("SELECT DISTINCT status, attempts, owner FROM search_outbox_events").fetchall()
    assert rows == [("pending", 0, None)]


def test_an_idle_worker_stops_within_a_second(worker: Start) -> None:
    running = worker()
    eventually(lambda: running.get("/readyz")[0] == 200, what="ready")
    assert seconds_to_stop(running) < 1


def test_two_workers_share_the_work_and_count_each_event_once(
    cli: Cli, worker: Start, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    both = [worker(**QUICK, OUTBOX_WORKER_ID="the-same-name") for _ in range(2)]
    load(cli, 3000)
    eventually(lambda: count(sql, "done") == 3000, within=60, what="all done")
    eventually(lambda: sum(w.metric("outbox_processed_total") for w in both) == 3000)
    check_invariants(sql, engine, index, rows=3000)


@pytest.mark.parametrize("kind", ["upsert", "delete"])
def test_a_zombie_that_wakes_after_its_lease_changes_nothing(
    cli: Cli, worker: Start, sql: psycopg.Connection, slow_sink: str, kind: str
) -> None:
    """SIGSTOP past the lease, another worker finishes the events, SIGCONT."""
    cli.ok("inject", "event", "--op", kind, "--count", "20")
    zombie = worker(**QUICK, ELASTIC_URL=slow_sink, OUTBOX_CONCURRENCY="1")
    eventually(lambda: count(sql, "processing") == 20, what="claimed")
    zombie.signal(signal.SIGSTOP)
    other = worker(**QUICK)
    eventually(lambda: count(sql, "done") == 20, within=30, what="done by the other")
    before = sql.execute("SELECT * FROM search_outbox_events ORDER BY id").fetchall()
    zombie.signal(signal.SIGCONT)
    eventually(lambda: zombie.metric("outbox_lease_lost_total") == 20, what="noticed")
    assert sql.execute("SELECT * FROM search_outbox_events ORDER BY id").fetchall() == before
    assert zombie.metric("outbox_processed_total") == 0
    assert other.metric("outbox_processed_total") == 20


def test_a_zombie_does_not_revive_what_another_worker_gave_up(
    cli: Cli, worker: Start, sql: psycopg.Connection, slow_sink: str
) -> None:
    """The zombie's request succeeds; the other one, with a single attempt left to all, has failed them."""
    cli.ok("inject", "event", "--op", "upsert", "--count", "20")
    zombie = worker(**QUICK, ELASTIC_URL=slow_sink, OUTBOX_CONCURRENCY="1")
    eventually(lambda: count(sql, "processing") == 20, what="claimed")
    zombie.signal(signal.SIGSTOP)
    worker(**QUICK, OUTBOX_MAX_ATTEMPTS="1")
    eventually(lambda: count(sql, "failed") == 20, what="given up by the other")
    before = sql.execute("SELECT * FROM search_outbox_events ORDER BY id").fetchall()
    zombie.signal(signal.SIGCONT)
    eventually(lambda: zombie.metric("outbox_lease_lost_total") == 20, what="noticed")
    assert sql.execute("SELECT * FROM search_outbox_events ORDER BY id").fetchall() == before
    assert zombie.metric("outbox_processed_total") == 0


def test_terminated_sessions_cost_nothing(
    cli: Cli, worker: Start, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    running = worker(**QUICK)
    eventually(lambda: running.get("/readyz")[0] == 200, what="started: before that an error ends it")
    for _ in range(5):
        load(cli, 500)
        sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    eventually(lambda: count(sql, "done") == 2500, within=60, what="all done")
    eventually(lambda: running.get("/readyz")[0] == 200, what="ready again")
    check_invariants(sql, engine, index, rows=2500)


def test_the_probes_say_what_is_wrong(worker: Start) -> None:
    good = worker()
    eventually(lambda: good.get("/readyz")[0] == 200, what="ready")
    assert good.get("/healthz")[0] == 200
    assert good.get("/nope")[0] == 404
    bad = worker(ELASTIC_URL="http://127.0.0.1:9")
    _, body = eventually(lambda: (a := bad.get("/readyz"))[0] == 503 and "connect" in a[1] and a)
    assert '"sink"' in body
    assert '"database"' not in body
    assert bad.get("/healthz")[0] == 200


def test_a_busy_port_is_one_clear_line(worker: Start, cli: Cli) -> None:
    running = worker()
    eventually(lambda: running.get("/healthz")[0] == 200)
    refused = cli("worker", "--metrics-port", str(running.port))
    assert refused.returncode == 2
    assert "OUTBOX_METRICS_PORT" in refused.stderr


def test_a_second_signal_ends_at_once(
    cli: Cli, worker: Start, sql: psycopg.Connection, silent_sink: str
) -> None:
    load(cli, 10)
    running = worker(ELASTIC_URL=silent_sink)
    eventually(lambda: count(sql, "processing") == 10, what="claimed")
    running.signal(signal.SIGTERM)
    eventually(lambda: running.get("/readyz")[1].count("draining"), what="draining")
    running.signal(signal.SIGTERM)
    assert running.wait(timeout=3) != 0
