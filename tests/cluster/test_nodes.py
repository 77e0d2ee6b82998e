"""One of three nodes is frozen or dead: what is delivered meanwhile, and that every command works."""

import json
from collections.abc import Callable
from time import monotonic, sleep

import psycopg
import pytest

from cluster.conftest import NewIndex
from cluster.eyes import AnyNode
from cluster.stream import delivered, delivering, done
from processes import Cli, Worker, eventually
from search_cluster import SearchCluster

pytestmark = pytest.mark.timeout(420)
SAMPLE = 0.5  # seconds
ROUNDS = 28  # of verify, as many as the issue counted
ONE_FAILED = """
UPDATE search_outbox_events SET status = 'failed'
WHERE id = (SELECT id FROM search_outbox_events LIMIT 1) RETURNING id
"""
COMMANDS = (
    "failed list",
    "failed show {event}",
    "projection list",
    "services status",
    "roles",
    "rebuild --yes",
    "verify",
)


def _without_a_copy(cluster: SearchCluster, engine: AnyNode, index: str) -> str:
    """A node that holds no copy of the index, if there is a choice not the one that leads."""
    shards = engine.node.ok("GET", f"/_cat/shards/{index}?format=json")
    holders = {shard["node"] for shard in shards}
    free = [node.name for node in cluster.nodes if node.name not in holders]
    return min(free, key=lambda name: name == cluster.leader())


def _share_of_time(sql: psycopg.Connection, seconds: float) -> float:
    """Of so many seconds, in how many parts of half a second something was delivered."""
    grown, samples, before, end = 0, 0, done(sql), monotonic() + seconds
    while monotonic() < end:
        sleep(SAMPLE)  # the time that is measured
        now = done(sql)
        grown, samples, before = grown + (now > before), samples + 1, now
    return grown / samples


def test_delivery_goes_on_beside_a_frozen_node(
    cluster: SearchCluster,
    new_index: NewIndex,
    url: str,
    sql: psycopg.Connection,
    engine: AnyNode,
    worker: Callable[..., Worker],
) -> None:
    index = new_index(shards=1, replicas=1)
    # One lane: what it waits for, nobody else makes up for.
    running = worker(ELASTIC_INDEX=index, OUTBOX_OUTAGE_POLICY="hold", OUTBOX_CONCURRENCY="1")
    with delivering(url, sql) as stream:
        frozen = _without_a_copy(cluster, engine, index)
        cluster.freeze(frozen)
        share = _share_of_time(sql, 40)
        cluster.wake(frozen)
        assert share > 0.7, f"delivered in {share:.0%} of the time, {frozen} frozen"
    delivered(sql, engine, index, stream)
    assert running.metric("outbox_terminal_failed_total") == 0


def test_every_command_works_without_one_of_three_nodes(
    cluster: SearchCluster,
    new_index: NewIndex,
    sql: psycopg.Connection,
    engine: AnyNode,
    cli: Cli,
) -> None:
    index = new_index(shards=1, replicas=1)
    cli.env["ELASTIC_INDEX"] = index
    cli.ok("inject", "load", "--count", "200", "--rate", "0")
    cli.ok("worker", "--drain")
    name = _without_a_copy(cluster, engine, index)
    cluster.freeze(name)
    cli.ok("check", "--drift-sample", "20")
    (event,) = sql.execute(ONE_FAILED).fetchone() or ("",)
    codes = [cli("verify").returncode for _ in range(ROUNDS)]
    assert codes == [0] * ROUNDS
    for command in COMMANDS:
        cli.ok(*command.format(event=event).split())
    report = cli("doctor", "--json")
    found = {finding["id"]: finding["what"] for finding in json.loads(report.stdout)["findings"]}
    assert report.returncode in (0, 4), report.stderr
    assert cluster.node(name).url in found["sink-url-away"]
    assert not {"sink-unreachable", "not-elasticsearch"} & set(found)


def test_with_one_url_and_discovered_nodes_delivery_goes_on_without_that_node(
    cluster: SearchCluster,
    index: str,
    url: str,
    sql: psycopg.Connection,
    engine: AnyNode,
    worker: Callable[..., Worker],
) -> None:
    named = cluster.nodes[0]
    running = worker(ELASTIC_URL=named.url, OUTBOX_SINK_NODES="discovered")
    with delivering(url, sql) as stream:
        cluster.kill(named.name)
        end, before = monotonic() + 65, done(sql)
        eventually(lambda: done(sql) > before + 1_000, within=60, what="others than the one URL take events")
        eventually(lambda: monotonic() > end, within=70)
        before = done(sql)
        eventually(lambda: done(sql) > before + 200, within=20, what="and go on to")
        cluster.restart(named.name)
    delivered(sql, engine, index, stream)
    assert running.metric("outbox_terminal_failed_total") == 0
