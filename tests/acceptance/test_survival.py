"""Killed, stopped and doubled workers lose nothing and leave nothing behind."""

import signal
from collections.abc import Callable

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli, Worker, eventually

Start = Callable[..., Worker]
SLOW = {"OUTBOX_BULK_SIZE": "50", "OUTBOX_CONCURRENCY": "2"}


def _done(sql: lab.Sql) -> int:
    return lab.by_status(sql).get("done", 0)


@pytest.mark.slow(reason="real processes for many seconds")
@pytest.mark.real_engine
def test_kill_9_with_5000_events_under_way_loses_none(
    sql: lab.Sql, worker: Start, cli: Cli, engine: Elasticsearch, index: str
) -> None:
    lab.load(sql, 5000)
    first = worker(OUTBOX_LEASE_SECONDS="2", OUTBOX_BULK_SIZE="1000")
    eventually(lambda: lab.by_status(sql).get("processing", 0) > 0)
    first.signal(signal.SIGKILL)
    first.wait()
    held = lab.by_status(sql).get("processing", 0)
    # The kill may have hit between two batches: then hold some rows as a dead worker would.
    if not held:
        sql.execute(
            "UPDATE search_outbox_events SET status = 'processing', owner = 'dead', attempts = 1, "
            "lease_until = now() + interval '2 s', processing_started_at = now(), processed_at = NULL "
            "WHERE id IN (SELECT id FROM search_outbox_events LIMIT 100)"
        )
        held = 100
    eventually(lambda: lab.one(sql, lab.STUCK_SQL) == held, what="stuck rows seen by the lab's SQL")
    assert cli.json("status")["stuck"] == held
    second = worker(OUTBOX_LEASE_SECONDS="2", OUTBOX_RECLAIM_INTERVAL_SECONDS="0.5")
    eventually(lambda: _done(sql) == 5000, within=60)
    assert lab.one(sql, lab.STUCK_SQL) == 0
    assert f"Reclaimed {held} stuck outbox events (expired lease or max processing exceeded)" in (
        second.log.read_text()
    )
    assert second.metric("outbox_reclaimed_total") == held
    eventually(lambda: second.metric("outbox_stuck_processing_events") == 0)
    eventually(lambda: second.metric("outbox_lag_events") == 0)
    engine.indices.refresh(index=index)
    assert engine.count(index=index)["count"] == 5000
    lab.assert_nothing_lost(sql, engine, index, count=5000)
    assert lab.one(sql, "SELECT max(attempts) FROM search_outbox_events") <= 3


def test_sigterm_exits_0_and_leaves_nothing_processing(
    sql: lab.Sql, worker: Start, engine: Elasticsearch, index: str
) -> None:
    lab.load(sql, 6000)
    running = worker(**SLOW)
    eventually(lambda: lab.by_status(sql).get("processing", 0) > 0)
    running.signal(signal.SIGTERM)
    assert running.wait() == 0
    left = lab.by_status(sql)
    assert set(left) <= {"done", "pending"}
    assert left.get("pending", 0) > 0, "it was still busy when the signal came"
    # A release gives the attempt back: a rolling deployment must not eat attempts.
    assert lab.one(sql, "SELECT max(attempts) FROM search_outbox_events WHERE status = 'pending'") == 0
    lab.assert_nothing_lost(sql, engine, index, count=6000)
    assert "Traceback" not in running.log.read_text()


def test_ctrl_c_of_an_idle_worker_is_quick_and_exits_0(worker: Start) -> None:
    running = worker(OUTBOX_POLL_INTERVAL_SECONDS="30", OUTBOX_RECLAIM_INTERVAL_SECONDS="30")
    eventually(lambda: running.get("/readyz")[0] == 200)
    running.signal(signal.SIGINT)
    assert running.wait(5) == 0


@pytest.mark.slow(reason="real processes for many seconds")
def test_two_workers_at_once_deliver_every_event_once(
    sql: lab.Sql, worker: Start, engine: Elasticsearch, index: str
) -> None:
    lab.load(sql, 6000)
    both = [worker(OUTBOX_WORKER_ID="same", OUTBOX_BULK_SIZE="100") for _ in range(2)]
    eventually(lambda: _done(sql) == 6000, within=60)
    lab.assert_nothing_lost(sql, engine, index, count=6000)
    eventually(lambda: sum(each.metric("outbox_processed_total") for each in both) == 6000)
    assert sum(each.metric("outbox_lease_lost_total") for each in both) == 0
    assert sum(each.metric("outbox_failed_total") for each in both) == 0
    assert lab.one(sql, "SELECT max(attempts) FROM search_outbox_events") == 1


@pytest.mark.slow(reason="real processes for many seconds")
def test_a_worker_that_slept_through_its_lease_does_not_settle_what_another_took(
    sql: lab.Sql, worker: Start, engine: Elasticsearch, index: str
) -> None:
    lab.load(sql, 4000)
    asleep = worker(OUTBOX_LEASE_SECONDS="1", OUTBOX_WORKER_ID="same", **SLOW)
    eventually(lambda: lab.by_status(sql).get("processing", 0) > 0)
    asleep.signal(signal.SIGSTOP)
    awake = worker(OUTBOX_LEASE_SECONDS="2", OUTBOX_RECLAIM_INTERVAL_SECONDS="0.2", OUTBOX_WORKER_ID="same")
    eventually(lambda: _done(sql) == 4000, within=60)
    asleep.signal(signal.SIGCONT)
    eventually(lambda: asleep.get("/healthz")[0] == 200)
    asleep.signal(signal.SIGTERM)
    awake.signal(signal.SIGTERM)
    assert (asleep.wait(), awake.wait()) == (0, 0)
    assert lab.by_status(sql) == {"done": 4000}
    lab.assert_nothing_lost(sql, engine, index, count=4000)
