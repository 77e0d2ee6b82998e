"""A cluster of several nodes, by changed answers of a real one; `tests/cluster` has the nodes themselves."""

from collections.abc import Mapping
from threading import Event
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from operations.doctor.fronts import Change, front, says
from operations.doctor.ward import Ward
from outboxctl.operations.doctor import examination
from outboxctl.operations.doctor.model import End, FindingSeverity
from servers import Servers

pytestmark = pytest.mark.real_engine
NAMES = ("n1", "n2", "n3")
STATE, HTTP = "/_cluster/state/*", "/_nodes/http"


def _state(leader: str | None) -> Change:
    nodes = {f"id-{name}": {"name": name} for name in NAMES}
    return says(200, {"nodes": nodes} | ({"master_node": f"id-{leader}"} if leader else {}))


def _http(*names: str, own: str = "10.0.0.1:9200") -> Mapping[str, Any]:
    """What the nodes that answer say: the first one is at `own`."""
    places = {name: own if name == "n1" else f"10.0.0.{name[1]}:9200" for name in names}
    return {
        "nodes": {
            f"id-{name}": {
                "roles": ["master", "data"],
                "http": {"publish_address": place},
            }
            for name, place in places.items()
        }
    }


def test_a_cluster_without_a_leader_is_that_and_not_unreachable(ward: Ward, servers: Servers) -> None:
    changes = {STATE: _state(None), HTTP: says(200, _http("n1"))}
    with front(servers.sink, changes) as url:
        ward.monkeypatch.setenv("ELASTIC_URL", f"{url},http://127.0.0.1:9")
        found = ward.one("no-leader", End.SINK)
        assert found.severity is FindingSeverity.ERROR
        assert "http://127.0.0.1:9 cannot be reached" in found.what
        assert f"curl -X GET {url}/" in found.mend
        assert "more than half" in found.mend
        assert "services status" not in str(ward.examine(End.SINK))
        assert not ward.examine(End.SINK).unreachable


def test_what_a_frozen_leader_leaves_unanswered_is_a_finding_and_the_rest_is_examined(
    ward: Ward, servers: Servers
) -> None:
    ward.monkeypatch.setattr(examination, "REQUEST_SECONDS", 1.0)
    over = Event()
    changes: dict[str, Change] = {
        STATE: _state("n3"),
        HTTP: says(200, _http("n1", "n2")),
        "/_security/*": lambda _, reply: (over.wait(30), reply)[1],
    }
    with front(servers.sink, changes) as url:
        ward.monkeypatch.setenv("ELASTIC_URL", url)
        report = ward.examine(End.SINK)
        over.set()
    found = {finding.id: finding for finding in report.findings}
    assert not report.unreachable
    assert "leader, node n3 " in found["node-silent"].what
    assert "did not answer POST /_security/user/_has_privileges within 1 s" in found["not-examined"].what
    assert "sink: indexes and mappings" in report.examined


def test_a_node_that_hangs_is_a_warning_that_names_it(ward: Ward, servers: Servers) -> None:
    with front(servers.sink, {STATE: _state("n1"), HTTP: says(200, _http("n1", "n3"))}) as url:
        ward.monkeypatch.setenv("ELASTIC_URL", url)
        found = ward.one("node-silent", End.SINK)
        assert found.severity is FindingSeverity.WARNING
        assert "node n2 " in found.what


def test_one_url_of_three_is_told_of_the_others(ward: Ward, servers: Servers) -> None:
    said: dict[str, Any] = {}
    changes = {STATE: _state("n1"), HTTP: says(200, said)}
    with front(servers.sink, changes) as url:
        said |= _http(*NAMES, own=url.removeprefix("http://"))
        ward.monkeypatch.setenv("ELASTIC_URL", url)
        found = ward.cures("nodes-unnamed", End.SINK)
        assert found.severity is FindingSeverity.WARNING
        assert all(name in found.what for name in (url, "http://10.0.0.2:9200", "http://10.0.0.3:9200"))


def test_a_sink_elsewhere_that_is_away_is_no_matter_of_local_services(ward: Ward) -> None:
    ward.monkeypatch.setenv("ELASTIC_URL", "http://127.0.0.1:9")
    assert ward.one("sink-unreachable", End.SINK).mend.startswith("outboxctl services status")
    ward.monkeypatch.setenv("ELASTIC_URL", "http://127.0.0.1:9,http://127.0.0.1:10")
    mend = ward.one("sink-unreachable", End.SINK).mend
    assert "services status" not in mend
    assert mend.startswith("curl -X GET http://127.0.0.1:9/")


def test_too_few_copies_for_a_write_are_named_by_shard(ward: Ward, engine: Elasticsearch, index: str) -> None:
    wanted = {"number_of_replicas": 1, "write.wait_for_active_shards": "all"}
    engine.indices.put_settings(index=f"{index}-000001", settings={"index": wanted})
    found = ward.cures("copies-too-few", End.SINK)
    assert found.severity is FindingSeverity.ERROR
    assert f"Shards 0 of {index}-000001 have fewer active copies than the 2 " in found.what


def test_a_red_shard_is_named_with_the_clusters_reason(ward: Ward, engine: Elasticsearch, index: str) -> None:
    engine.indices.delete(index=f"{index}-000001")
    nowhere = {"index.routing.allocation.require._name": "no-such-node", "number_of_replicas": 0}
    engine.indices.create(
        index=f"{index}-000001", aliases={index: {}}, settings=nowhere, wait_for_active_shards=0
    )
    what = ward.one("index-red", End.SINK).what
    assert f"{index}-000001 is red: shards 0 of 1 have no copy that works (0: INDEX_CREATED since " in what
