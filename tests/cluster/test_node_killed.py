"""The node of a shard's primary is killed while updates stream: the short test of `make test-all`."""

from collections.abc import Callable

import psycopg
import pytest

from cluster.eyes import AnyNode
from cluster.stream import delivered, delivering, done
from processes import Worker, eventually
from search_cluster import SearchCluster

pytestmark = pytest.mark.timeout(240)


def test_a_killed_primary_costs_no_event_and_delivery_goes_on(
    cluster: SearchCluster,
    index: str,
    url: str,
    sql: psycopg.Connection,
    engine: AnyNode,
    worker: Callable[..., Worker],
) -> None:
    running = worker(OUTBOX_OUTAGE_POLICY="hold")
    with delivering(url, sql) as stream:
        killed = cluster.holder(index)
        cluster.kill(killed)
        before = done(sql)
        eventually(lambda: done(sql) > before + 1_000, within=60, what="two of three nodes take events")
        assert cluster.node(killed).state == "down"
        cluster.restart(killed)
    delivered(sql, engine, index, stream)
    assert running.metric("outbox_terminal_failed_total") == 0
