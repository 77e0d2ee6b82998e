"""`/readyz` follows the sink as a whole, and neither it nor the log alternates while one node is ill."""

from collections.abc import Callable
from time import monotonic

import psycopg
import pytest

from cluster.conftest import NewIndex
from cluster.eyes import AnyNode
from cluster.readiness import lines, watching
from cluster.stream import delivered, delivering, done, streaming
from outboxctl.worker.sink_probe import ONSET
from processes import Worker, eventually
from scene import ready
from search_cluster import SearchCluster

pytestmark = pytest.mark.timeout(600)
Start = Callable[..., Worker]
POLICIES = pytest.mark.parametrize("policy", ["count", "hold"])


def test_a_rolling_restart_is_no_reason_not_to_be_ready(
    cluster: SearchCluster,
    index: str,
    sql: psycopg.Connection,
    url: str,
    engine: AnyNode,
    worker: Start,
) -> None:
    running = worker(OUTBOX_OUTAGE_POLICY="hold")
    with delivering(url, sql) as stream:
        eventually(lambda: ready(running), what="ready")
        with watching(running) as watch:
            for node in cluster.nodes:
                cluster.stop(node.name)
                cluster.restart(node.name)
                cluster.wait_for("green", seconds=180)
        # On a busy machine an election may take longer than what is overlooked: one or two in three restarts.
        assert watch.flips <= 4, watch.changes
        assert len(lines(running)) <= 4
    delivered(sql, engine, index, stream)


@POLICIES
def test_not_ready_while_an_index_that_is_written_to_is_red(
    cluster: SearchCluster, new_index: NewIndex, worker: Start, policy: str
) -> None:
    """An idle worker: nothing but the cluster itself could tell."""
    index = new_index(shards=3, replicas=0)
    running = worker(ELASTIC_INDEX=index, OUTBOX_OUTAGE_POLICY=policy)
    eventually(lambda: ready(running), what="ready")
    with watching(running) as watch:
        cluster.kill(cluster.holder(index, 1))
        eventually(lambda: not watch.ready, within=20, what="not ready")
        assert f"the index {index}-000001 is red: shard " in watch.said
        assert watch.said.startswith("unavailable: ")
        cluster.restart()
        cluster.wait_for("green", index=index)
        eventually(lambda: watch.ready, within=20, what="well again")
    assert watch.flips == 2, watch.changes
    assert len(lines(running)) == 2


def test_a_red_index_that_is_only_read_is_no_concern_of_the_worker(
    cluster: SearchCluster, new_index: NewIndex, engine: AnyNode, worker: Start
) -> None:
    """An alias of two indexes, as in a rollover: the older one has lost its node."""
    index = new_index(shards=1, replicas=2)
    older = {"settings": {"number_of_shards": 3, "number_of_replicas": 0}}
    engine.node.ok("PUT", f"/{index}-old", older)
    action = {"add": {"index": f"{index}-old", "alias": index, "is_write_index": False}}
    engine.node.ok("POST", "/_aliases", {"actions": [action]})
    cluster.wait_for("green", index=f"{index}-old")
    running = worker(ELASTIC_INDEX=index)
    eventually(lambda: ready(running), what="ready")
    with watching(running) as watch:
        cluster.kill(cluster.holder(f"{index}-old"))
        eventually(lambda: cluster.health(f"{index}-old").get("status") == "red", within=30, what="red")
        end = monotonic() + 2 * ONSET
        eventually(lambda: monotonic() > end, what="red for long enough")
    assert watch.flips == 0, watch.changes
    cluster.restart()


def test_events_that_nobody_takes_make_it_not_ready_and_the_reason_is_named(
    cluster: SearchCluster, new_index: NewIndex, sql: psycopg.Connection, url: str, worker: Start
) -> None:
    """Yellow, with a leader, and each write wants a copy that is not there."""
    index = new_index(shards=1, replicas=2, **{"write.wait_for_active_shards": "all"})
    running = worker(ELASTIC_INDEX=index, OUTBOX_MAX_ATTEMPTS="1000")
    eventually(lambda: ready(running), what="ready")
    with watching(running) as watch, streaming(url, per_transaction=5):
        eventually(lambda: done(sql) > 20, what="under way")
        killed = next(node.name for node in cluster.nodes if node.name != cluster.leader())
        cluster.kill(killed)
        eventually(lambda: not watch.ready, within=60, what="not ready")
        assert "nothing was taken for " in watch.said
        cluster.restart()
        cluster.wait_for("green", index=index)
        eventually(lambda: watch.ready, within=60, what="well again")
    assert watch.flips == 2, watch.changes
