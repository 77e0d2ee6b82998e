"""Killed, stopped and doubled workers lose nothing and leave nothing behind."""

import signal
from collections.abc import Callable

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli, Worker, eventually

Start = Callable[..., Worker]


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
    eventually(lambda: lab.by_status(sql) == {"done": 6000}, within=60)
    lab.assert_nothing_lost(sql, engine, index, count=6000)
    eventually(lambda: sum(each.metric("outbox_processed_total") for each in both) == 6000)
    assert sum(each.metric("outbox_lease_lost_total") for each in both) == 0
    assert sum(each.metric("outbox_failed_total") for each in both) == 0
    assert lab.one(sql, "SELECT max(attempts) FROM search_outbox_events") == 1


def test_a_drain_with_the_sink_away_does_not_wait_for_the_pause(cli: Cli, sql: lab.Sql) -> None:
    lab.load(sql, 5)
    pause = {"OUTBOX_BASE_BACKOFF_SECONDS": "3600", "OUTBOX_MAX_BACKOFF_SECONDS": "3600"}
    done = cli("worker", "--drain", env={"ELASTIC_URL": "http://127.0.0.1:1"} | pause, timeout=30)
    assert done.returncode == 0, done.stderr
    assert lab.by_status(sql) == {"pending": 5}
    assert {row["attempts"] for row in lab.rows(sql)} == {1}
    lab.assert_clean(sql)
