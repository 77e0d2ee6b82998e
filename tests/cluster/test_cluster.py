"""The cluster that the other tests stand on."""

from pathlib import Path

import pytest

from cluster.conftest import KIND, NewIndex
from cluster.eyes import AnyNode
from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills.services.cluster import SearchCluster, started
from processes import eventually

pytestmark = pytest.mark.timeout(240)


def test_nodes_are_killed_frozen_and_started_again_on_their_data(
    cluster: SearchCluster, new_index: NewIndex, engine: AnyNode
) -> None:
    index = new_index(shards=2, replicas=0)
    engine.node.put(index, "block:1", 7, {"text": "kept"})
    holder = cluster.holder(index)
    cluster.kill(holder)
    eventually(lambda: cluster.health(index)["status"] == "red")
    with pytest.raises(UnreachableError, match=f"primary of shard 0 .*{holder} down"):
        cluster.holder(index)
    with pytest.raises(UnreachableError, match=f"{index} is not yellow after 0.5 s: .*{holder} down"):
        cluster.wait_for("yellow", seconds=0.5, index=index)
    cluster.restart()
    cluster.wait_for("green", index=index)
    assert engine.node.document(index, "block:1") == {"text": "kept"}
    cluster.freeze("n2")
    assert [node.state for node in cluster.nodes] == ["up", "frozen", "up"]
    assert cluster.nodes[1].ask("/") == {}
    with pytest.raises(UsageError, match="n2 is frozen"):
        cluster.restart("n2")
    cluster.wake("n2")
    assert cluster.nodes[1].ask("/")


def test_one_node_of_three_has_no_leader_and_nobody_says_how_healthy_it_is(cluster: SearchCluster) -> None:
    follower = next(node.name for node in cluster.nodes if node.name != cluster.leader())
    for node in cluster.nodes:
        if node.name != follower:
            cluster.kill(node.name)
    with pytest.raises(UnreachableError, match="not red after 3 s"):
        cluster.wait_for("red", seconds=3)
    assert cluster.leader() is None


def test_a_node_that_does_not_start_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    wrong = ("no.such.setting=1",)
    with (
        pytest.raises(UnreachableError, match="n1 ended while it started") as raised,
        started(KIND, tmp_path, nodes=1, settings=wrong),
    ):
        pass
    assert "no.such.setting" in str(raised.value.hint)
