"""`doctor` and `check` on a cluster of which a part is ill: what is wrong is named, and what to do."""

import json
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from cluster.conftest import NewIndex
from cluster.stream import delivering
from moments import move
from outboxctl.core.database import Database
from outboxctl.core.sql import text
from outboxctl.operations.check import figures
from outboxctl.operations.check.figures import CheckLimits
from processes import Cli, Worker, eventually
from search_cluster import SearchCluster

pytestmark = pytest.mark.timeout(400)
Findings = dict[str, dict[str, str]]


def examined(cli: Cli, *, code: int = 4, **env: str) -> Findings:
    """What `doctor` finds of the sink, by id."""
    done = cli("doctor", "--only", "sink", "--json", env=env)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return {finding["id"]: finding for finding in json.loads(done.stdout)["findings"]}


@pytest.mark.usefixtures("cluster")
def test_a_cluster_that_is_well_has_no_finding(cli: Cli) -> None:
    assert examined(cli, code=0) == {}


def test_without_a_leader_that_is_the_finding(cluster: SearchCluster, cli: Cli) -> None:
    others = cluster.nodes[1:]
    for node in others:
        cluster.kill(node.name)
    eventually(lambda: cluster.leader() is None, within=60, what="no leader")
    seen = examined(cli)
    assert set(seen) == {"no-leader", "sink-url-away"}
    for node in others:
        assert node.url in seen["no-leader"]["what"]
    assert "more than half" in seen["no-leader"]["mend"]
    assert "services status" not in str(seen)


def test_a_leader_that_is_frozen_is_named_and_the_rest_examined(cluster: SearchCluster, cli: Cli) -> None:
    frozen = cluster.node(str(cluster.leader()))
    cluster.freeze(frozen.name)
    seen = examined(cli)
    cluster.wake(frozen.name)
    assert f"node {frozen.name}" in seen["node-silent"]["what"]
    assert "leader" in seen["node-silent"]["what"]
    assert frozen.url in seen["sink-url-away"]["what"]
    assert "sink-unreachable" not in seen


def test_a_red_shard_whose_events_wait_is_found_within_a_minute(
    cluster: SearchCluster,
    new_index: NewIndex,
    db: Database,
    url: str,
    sql: psycopg.Connection,
    worker: Callable[..., Worker],
) -> None:
    """The other shards' events may be delivered meanwhile, or not: it is found either way."""
    index = new_index(shards=3, replicas=0)
    worker(ELASTIC_INDEX=index, OUTBOX_MAX_ATTEMPTS="1000", OUTBOX_OUTAGE_POLICY="hold")

    def findings() -> set[str]:
        """Those of a minute later, at which heartbeats go on and nothing else has happened."""
        with db.begin() as connection:
            move(connection, timedelta(seconds=-55))
            connection.execute(text("UPDATE outbox_workers SET heartbeat_at = now()"))
            facts = figures.read(connection, CheckLimits(300), max_processing=600)
            connection.rollback()
        judged = figures.judge(facts, CheckLimits(300))
        return {figure.name for figure in judged if not figure.well} & {"no_success", "in_vain"}

    with delivering(url, sql, after=50, per_transaction=5):
        cluster.kill(cluster.holder(index, 0))
        eventually(findings, within=60, what="found")
        cluster.restart()
