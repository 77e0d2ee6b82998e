"""A storm of a minute on a cluster: nothing is lost, goes back, comes back or fails."""

import uuid
from pathlib import Path

import psycopg
import pytest

from cluster.conftest import NewIndex
from cluster.eyes import AnyNode
from outboxctl.drills.services.cluster import SearchCluster
from storm.application import Entity
from storm.nodes.looks import CopyLooks
from storm.nodes.truth import Damage
from storm.plan import Site, beside_a_cluster
from storm.run import run

pytestmark = pytest.mark.timeout(900)
PLAN = beside_a_cluster(70, seed=3)
DONE = """
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
VALUES (gen_random_uuid(), 'block', %s, 'upsert', %s, 'done')
"""


def test_nothing_is_amiss_after_a_storm(
    url: str, cluster: SearchCluster, new_index: NewIndex, tmp_path: Path
) -> None:
    index = new_index(shards=3, gc_deletes="60s")
    report = run(PLAN, Site(url, cluster.url, index, tmp_path, cluster), say=print)
    assert report.wrong == [], report.text()
    assert report.events == PLAN.events
    assert (report.lost, report.resurrected, report.failed) == (0, 0, {})
    assert report.nodes
    assert (report.nodes.went_back, report.nodes.was_gone) == (0, 0)
    assert report.nodes.attempts_lost == {}
    assert report.nodes.counted > 1_000, f"the watch must have had answers: {report.nodes}"
    assert sum(report.faults.values()) >= 2, f"nodes must have been struck: {report.faults}"


@pytest.fixture
def entity(sql: psycopg.Connection) -> Entity:
    """Its event is done at version 5."""
    entity = Entity(uuid.uuid4(), 5)
    sql.execute(DONE, [entity.id, entity.version])
    return entity


@pytest.mark.parametrize(
    ("removed", "kind"), [([], Damage.BACK), ([5], Damage.RESURRECTED), ([2], Damage.BACK)]
)
def test_each_copy_that_is_older_than_what_is_done_is_seen_once(
    cluster: SearchCluster,
    index: str,
    engine: AnyNode,
    sql: psycopg.Connection,
    entity: Entity,
    removed: list[int],
    kind: Damage,
) -> None:
    entity.removed += removed
    engine.node.put(index, entity.document, 4, {})
    looks = CopyLooks(cluster, index, [entity])
    for _ in range(2):
        looks.look(sql)
    assert looks.counted == 4, "each of two copies, twice"
    assert looks.damages == {kind: 1}
    engine.node.put(index, entity.document, 5, {})
    looks.look(sql)
    engine.node.ok("DELETE", f"/{index}/_doc/{entity.document}?version=5&version_type=external_gte")
    looks.look(sql)
    assert looks.damages == {kind: 1} | ({} if 5 in removed else {Damage.GONE: 1})
