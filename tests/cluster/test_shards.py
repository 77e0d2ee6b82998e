"""A shard that takes nothing: its events are tried again, those of all others are delivered meanwhile."""

from collections.abc import Callable
from typing import NamedTuple

import psycopg
import pytest

from cluster.conftest import NewIndex
from cluster.eyes import AnyNode
from cluster.stream import done
from invariants import check_invariants
from processes import Cli, Worker, eventually
from search_cluster import SearchCluster

pytestmark = pytest.mark.timeout(300)
EVENTS = 6_000
# The worker's own times, as in production: a request may take 22.5 s.
USUAL = {
    "OUTBOX_LEASE_SECONDS": "30",
    "OUTBOX_BASE_BACKOFF_SECONDS": "0.5",
    "OUTBOX_MAX_BACKOFF_SECONDS": "30",
}
Start = Callable[..., Worker]


class Rows(NamedTuple):
    """All events: those not done yet, the attempts of all, and the most that one has."""

    waiting: int
    attempts: int
    most: int
    failed: int


def rows(sql: psycopg.Connection) -> Rows:
    """As they are now."""
    query = """SELECT count(*) FILTER (WHERE status <> 'done'), sum(attempts), max(attempts),
        count(*) FILTER (WHERE status = 'failed') FROM search_outbox_events"""
    (row,) = sql.execute(query).fetchall()
    return Rows(*row)


def load(cli: Cli, events: int) -> None:
    """Put in so many events."""
    cli.ok("inject", "load", "--total", str(events), "--rate", "0", "--per-transaction", "500")


def in_rest(sql: psycopg.Connection) -> int:
    """How many events nobody holds that are not done, once none of them is due."""
    query = """SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'processing'
            OR status = 'pending' AND coalesce(next_retry_at, now()) <= now())
        FROM search_outbox_events"""
    waiting, busy = sql.execute(query).fetchone() or (0, 0)
    return 0 if busy else int(waiting)


@pytest.mark.parametrize("policy", ["count", "hold"])
def test_the_events_of_healthy_shards_do_not_wait_for_a_red_one(
    cluster: SearchCluster,
    new_index: NewIndex,
    sql: psycopg.Connection,
    engine: AnyNode,
    cli: Cli,
    worker: Start,
    policy: str,
) -> None:
    index = new_index(shards=3, replicas=0)
    cluster.kill(cluster.holder(index, 0))
    eventually(lambda: cluster.health(index)["status"] == "red")
    load(cli, EVENTS)
    running = worker(ELASTIC_INDEX=index, OUTBOX_OUTAGE_POLICY=policy, **USUAL)
    eventually(lambda: done(sql) > EVENTS * 0.6, within=60, what="the events of two of three shards")
    before = done(sql)
    cli.ok("inject", "load", "--total", "30", "--rate", "0")
    eventually(lambda: done(sql) > before + 12, within=10, what="fresh events beside the sick shard")
    then = rows(sql)
    assert then.waiting > EVENTS * 0.2
    assert then.failed == 0
    if policy == "hold":
        waits = "SELECT max(attempts) FROM search_outbox_events WHERE status = 'pending'"
        assert sql.execute(waits).fetchone() == (0,)
    assert running.get("/readyz")[0] == 200 or "circuit" not in running.get("/readyz")[1]
    cluster.restart()
    eventually(lambda: done(sql) == EVENTS + 30, within=60, what="the rest, once the shard is back")
    check_invariants(sql, engine, index, rows=EVENTS + 30)
    assert policy == "count" or rows(sql).most == 1


def with_too_few_copies(cluster: SearchCluster, new_index: NewIndex, *, replicas: int, wanted: str) -> str:
    """An index of three shards, a node of which is dead for good, while a write asks for `wanted` copies."""
    settings = {"write.wait_for_active_shards": wanted, "unassigned.node_left.delayed_timeout": "1h"}
    index = new_index(3, replicas, **settings)
    cluster.kill(cluster.holder(index, 0))
    eventually(lambda: cluster.health(index)["status"] == "yellow")
    return index


def test_too_few_copies_hold_up_only_the_shards_that_have_too_few(
    cluster: SearchCluster,
    new_index: NewIndex,
    sql: psycopg.Connection,
    engine: AnyNode,
    cli: Cli,
    worker: Start,
) -> None:
    index = with_too_few_copies(cluster, new_index, replicas=1, wanted="2")
    load(cli, EVENTS)
    worker(ELASTIC_INDEX=index, OUTBOX_OUTAGE_POLICY="hold", **USUAL)
    eventually(lambda: done(sql) > EVENTS * 0.2, within=60, what="the events of the shard with both copies")
    eventually(lambda: in_rest(sql), within=60, what="all others wait")
    assert rows(sql).waiting < EVENTS * 0.8
    engine.node.ok("PUT", f"/{index}/_settings", {"index.write.wait_for_active_shards": "1"})
    eventually(lambda: done(sql) == EVENTS, within=60, what="the rest")
    assert rows(sql)[1:] == (EVENTS, 1, 0)


def test_where_every_shard_has_too_few_copies_the_worker_is_not_ready_and_no_attempt_is_lost(
    cluster: SearchCluster,
    new_index: NewIndex,
    sql: psycopg.Connection,
    engine: AnyNode,
    cli: Cli,
    worker: Start,
) -> None:
    index = with_too_few_copies(cluster, new_index, replicas=2, wanted="all")
    load(cli, 500)
    running = worker(ELASTIC_INDEX=index, OUTBOX_OUTAGE_POLICY="hold")
    eventually(lambda: "nothing was taken" in running.get("/readyz")[1], within=40, what="not ready")
    eventually(lambda: "Not enough active copies" in running.log.read_text(), within=10, what="why")
    assert rows(sql).failed == 0
    engine.node.ok("PUT", f"/{index}/_settings", {"index.write.wait_for_active_shards": "1"})
    eventually(lambda: done(sql) == 500, within=60, what="all, once copies are no longer asked for")
    assert rows(sql) == (0, 500, 1, 0)
    assert running.log.read_text().count('"problem": "nothing was taken') <= 2, "it does not alternate"
