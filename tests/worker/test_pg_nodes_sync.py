"""A synchronous standby that is away: nothing that commits is confirmed until it is back."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Worker, eventually
from scene import ready
from worker.pg_nodes import Pair, pair

QUICK = {"OUTBOX_BULK_SIZE": "20", "OUTBOX_CONCURRENCY": "2", "OUTBOX_LEASE_SECONDS": "5"}
WAITS = "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

pytestmark = pytest.mark.real_engine


@pytest.fixture
def two(engine: Elasticsearch, index: str) -> Iterator[Pair]:
    """A primary, and a standby with a name."""
    with pair(engine, index, "cluster_name = 'spare'") as servers:
        yield servers


def synchronous(sql: psycopg.Connection, *, on: bool) -> None:
    """Have commits wait for the standby, or for nobody."""
    sql.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{'*' if on else ''}'")
    sql.execute("SELECT pg_reload_conf()")
    wanted = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"
    if on:
        eventually(lambda: sql.execute(wanted).rowcount == 1, what="synchronous")


@pytest.mark.slow(reason="a server of its own and a standby, stopped and started again")
def test_a_synchronous_standby_that_is_away_costs_no_attempt(
    two: Pair, worker: Callable[..., Worker]
) -> None:
    with two.at(two.primary) as scene, application(two) as commit:
        synchronous(scene.sql, on=True)
        running = worker(**QUICK, DATABASE_URL=two.both)
        eventually(lambda: ready(running), what="started")
        scene.sql.execute("SET synchronous_commit = local")
        two.standby.stop("fast")
        scene.load(500)  # as if committed before
        waiting = commit()
        eventually(lambda: scene.count("done") == 500, within=30, what="what is committed is delivered")
        assert scene.rows("attempts") == [(1,)]
        assert scene.sql.execute(WAITS).rowcount <= 1, "the application's"
        assert not waiting.done()
        two.standby.start()
        waiting.result(timeout=30)
        scene.finished_by(running, 501)
        assert scene.rows("attempts") == [(1,)]
        assert scene.sent() == 501


@contextmanager
def application(two: Pair) -> Iterator[Callable[[], Future[None]]]:
    """Writes an event at the primary in a thread; at the end nothing waits for a standby any more."""

    def write() -> None:
        with two.at(two.primary) as scene:
            scene.load(1)

    with ThreadPoolExecutor(1) as pool:
        try:
            yield lambda: pool.submit(write)
        finally:
            with two.at(two.primary) as scene:
                synchronous(scene.sql, on=False)
