"""Real workers, real signals: what an operator would lose if any of this broke."""

import signal
from collections.abc import Callable
from time import monotonic

import psycopg

from acceptance import lab
from processes import Cli, Worker, eventually

Start = Callable[..., Worker]
QUICK = {"OUTBOX_LEASE_SECONDS": "2", "OUTBOX_RECLAIM_INTERVAL_SECONDS": "1", "OUTBOX_BULK_SIZE": "50"}


def seconds_to_stop(running: Worker) -> float:
    """From SIGTERM to exit code 0."""
    running.signal(signal.SIGTERM)
    began = monotonic()
    assert running.wait(timeout=10) == 0
    return monotonic() - began


def load(cli: Cli, total: int) -> None:
    cli.ok("inject", "load", "--total", str(total), "--rate", "0", "--per-transaction", "200")


def test_sigterm_with_a_hanging_sink_gives_the_batch_back_untried(
    cli: Cli, worker: Start, sql: psycopg.Connection, silent_sink: str
) -> None:
    load(cli, 10)
    running = worker(ELASTIC_URL=silent_sink, OUTBOX_SHUTDOWN_GRACE_SECONDS="2")
    eventually(lambda: lab.by_status(sql).get("processing") == 10, what="claimed")
    assert seconds_to_stop(running) < 3, "within the grace and a second"
    rows = sql.execute("SELECT DISTINCT status, attempts, owner FROM search_outbox_events").fetchall()
    assert rows == [("pending", 0, None)]


def test_a_zombie_that_wakes_after_its_lease_changes_nothing(
    cli: Cli, worker: Start, sql: psycopg.Connection, slow_sink: str
) -> None:
    """SIGSTOP past the lease, another worker finishes the events, SIGCONT."""
    cli.ok("inject", "event", "--op", "delete", "--count", "20")
    zombie = worker(**QUICK, ELASTIC_URL=slow_sink, OUTBOX_CONCURRENCY="1")
    eventually(lambda: lab.by_status(sql).get("processing") == 20, what="claimed")
    zombie.signal(signal.SIGSTOP)
    other = worker(**QUICK)
    eventually(lambda: lab.by_status(sql).get("done") == 20, within=30, what="done by the other")
    before = sql.execute("SELECT * FROM search_outbox_events ORDER BY id").fetchall()
    zombie.signal(signal.SIGCONT)
    eventually(lambda: zombie.metric("outbox_lease_lost_total") == 20, what="noticed")
    assert sql.execute("SELECT * FROM search_outbox_events ORDER BY id").fetchall() == before
    assert zombie.metric("outbox_processed_total") == 0
    assert other.metric("outbox_processed_total") == 20


def test_a_second_signal_ends_at_once(
    cli: Cli, worker: Start, sql: psycopg.Connection, silent_sink: str
) -> None:
    load(cli, 10)
    running = worker(ELASTIC_URL=silent_sink)
    eventually(lambda: lab.by_status(sql).get("processing") == 10, what="claimed")
    running.signal(signal.SIGTERM)
    eventually(lambda: running.get("/readyz")[1].count("draining"), what="draining")
    running.signal(signal.SIGTERM)
    assert running.wait(timeout=10) != 0, "not after the grace"
