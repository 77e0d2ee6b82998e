"""Under `hold` no event fails, and none loses an attempt, because of a node or of the leader."""

from collections.abc import Callable

import psycopg
import pytest

from cluster.eyes import AnyNode
from cluster.stream import delivered, delivering, done
from cluster.test_shards import load, rows
from processes import Cli, Worker, eventually
from search_cluster import SearchCluster

pytestmark = pytest.mark.timeout(300)
HOLD = {"OUTBOX_OUTAGE_POLICY": "hold"}
Start = Callable[..., Worker]


def goes_on(sql: psycopg.Connection, events: int) -> None:
    """Wait until so many more are done."""
    before = done(sql)
    eventually(lambda: done(sql) > before + events, within=90, what=f"{events} events more")


def test_without_a_leader_every_event_waits_and_keeps_its_attempts(
    cluster: SearchCluster, index: str, sql: psycopg.Connection, cli: Cli, worker: Start
) -> None:
    running = worker(OUTBOX_MAX_ATTEMPTS="2", **HOLD)
    load(cli, 100)
    eventually(lambda: done(sql) == 100, what="before")
    for node in cluster.nodes[1:]:
        cluster.kill(node.name)
    load(cli, 900)
    eventually(lambda: running.metric("outbox_circuit_open") == 1, within=60, what="open")
    eventually(lambda: running.metric("outbox_failed_total") > 20, within=60, what="probes go on")
    eventually(lambda: running.get("/readyz")[0] == 503, what="not ready")
    said = running.get("/readyz")[1]
    assert "leader" in said or "unavailable" in said or "circuit" in said, said
    assert rows(sql).failed == 0
    query = "SELECT max(attempts) FROM search_outbox_events WHERE status = 'pending'"
    # A probe that one shard answers closes the circuit for a moment: a lane may hold all of them then.
    eventually(lambda: sql.execute(query).fetchone() == (0,), what="put back with the attempt")
    cluster.restart()
    cluster.wait_for("yellow", index=index)  # on a busy machine primaries take their time
    eventually(lambda: done(sql) == 1_000, within=60, what="all, once each shard has its primary")
    assert rows(sql) == (0, 1_000, 1, 0)


def test_a_frozen_node_costs_no_attempt(
    cluster: SearchCluster,
    index: str,
    url: str,
    sql: psycopg.Connection,
    engine: AnyNode,
    worker: Start,
) -> None:
    """Its requests time out, while others are taken in between."""
    running = worker(OUTBOX_MAX_ATTEMPTS="2", OUTBOX_BULK_SIZE="5", **HOLD)
    with delivering(url, sql, after=20, per_transaction=2, pause=0.2) as stream:
        frozen = cluster.holder(index)
        cluster.freeze(frozen)
        eventually(lambda: running.metric("outbox_failed_total") > 5, within=60, what="requests time out")
        goes_on(sql, 50)
        cluster.wake(frozen)
    delivered(sql, engine, index, stream)
    assert rows(sql)[2:] == (1, 0)
