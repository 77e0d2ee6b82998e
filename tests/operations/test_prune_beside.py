"""Prune beside workers, beside itself, stopped and killed: whole batches, and the audit tells the truth."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from invariants import check_invariants
from operations.test_prune_rows import audited, put
from processes import OUTBOXCTL, Cli, Worker, eventually
from scene import Scene

OLD = 20_000
COMMAND = (*OUTBOXCTL, "prune", "--older-than", "1d", "--rate", "5000")


def rows(sql: psycopg.Connection) -> int:
    return int(sql.execute("SELECT count(*) FROM search_outbox_events").fetchall()[0][0])


@pytest.fixture
def running(env: dict[str, str], sql: psycopg.Connection, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A prune of some seconds that has begun."""
    put(sql, "done", "2020-01-01", rows=OLD)
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, env=env, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as process:
        eventually(lambda: audited(sql) > 0, what="a batch")
        yield process
        process.kill()


def test_killed_in_the_middle_the_audit_tells_what_is_gone(
    running: subprocess.Popen[str], sql: psycopg.Connection, cli: Cli
) -> None:
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    open_ = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'outboxctl' AND datname = current_database()"
    )
    eventually(lambda: sql.execute(open_).fetchall() == [(0,)], what="its session has ended")
    assert 0 < rows(sql) < OLD
    assert rows(sql) + audited(sql) == OLD
    cli.ok("prune", "--older-than", "1d")
    assert (rows(sql), audited(sql)) == (0, OLD)


@pytest.mark.slow(reason="a worker beside it for some seconds")
def test_a_worker_beside_it_loses_nothing(
    sql: psycopg.Connection,
    engine: Elasticsearch,
    index: str,
    cli: Cli,
    worker: Callable[..., Worker],
) -> None:
    scene = Scene(sql, engine, index)
    put(sql, "done", "2020-01-01", rows=OLD)
    only = worker(OUTBOX_BULK_SIZE="200")
    with ThreadPoolExecutor(1) as pool:
        pruning = pool.submit(cli.json, "prune", "--older-than", "1d", "--rate", "10000")
        for _ in range(10):
            scene.load(300)
        assert pruning.result()["pruned"] == OLD
    eventually(lambda: scene.count("done") == 3_000, what="all delivered")
    check_invariants(sql, engine, index, rows=3_000)
    assert only.metric("outbox_lease_lost_total") == 0
