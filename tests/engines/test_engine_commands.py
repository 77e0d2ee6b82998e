"""The operator's commands before each engine, as real processes."""

import json
from uuid import uuid4

import psycopg
import pytest

from acceptance import lab
from engines.node import Node
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.transport.client import Client
from processes import Cli

pytestmark = pytest.mark.real_engine
MANY = 23


@pytest.fixture
def filled(cli: Cli, sql: psycopg.Connection) -> None:
    """Rows, and each in the index."""
    lab.load(sql, MANY)
    cli.ok("worker", "--drain")


def test_doctor_finds_nothing_to_mend(cli: Cli) -> None:
    report = cli.json("doctor", "--only", "sink")
    assert report["findings"] == []


@pytest.mark.slow(reason="`make test-engines` runs it on each engine, too")
@pytest.mark.usefixtures("filled")
def test_verify_finds_what_differs_and_a_repair_mends_it(cli: Cli, node: Node, index: str) -> None:
    assert cli.json("verify")["documents"] == MANY
    ids = [hit["_id"] for hit in node.ok("GET", f"/{index}/_search?size=3")["hits"]["hits"]]
    node.ok("DELETE", f"/{index}/_doc/{ids[0]}?version=1&version_type=external_gte")
    node.put(index, ids[1], 1, {"text": "altered", "entity_type": "block", "entity_id": ids[1][6:]})
    stray = str(uuid4())
    node.put(index, f"block:{stray}", 1, {"entity_type": "block", "entity_id": stray})
    node.put(index, "no-key-at-all", 1, {"text": "stray"})
    found = json.loads(cli("verify", "--json").stdout)["by_kind"]
    assert {kind: number for kind, number in found.items() if number} == {
        "missing": 1,
        "extra": 2,
        "different": 1,
    }
    cli.ok("verify", "--repair", "--by", "t", "--reason", "t", "--yes")
    cli.ok("worker", "--drain")
    assert cli.json("verify")["documents"] == MANY
    cli.ok("check", "--drift-sample", "100")


@pytest.mark.slow(reason="`make test-engines` runs it on each engine, too")
def test_every_document_of_every_shard_is_read_once(client: Client, node: Node, index: str) -> None:
    """By pages far smaller than a shard, while documents come and go."""
    name = f"{index}-shards"
    keys = {key: {"type": "keyword"} for key in ("entity_type", "entity_id")}
    settings = {"number_of_shards": 3, "number_of_replicas": 0}
    node.ok("PUT", f"/{name}", {"settings": settings, "mappings": {"properties": keys}})
    for n in range(MANY):
        node.put(name, f"block:{n}", 1, {"entity_type": "block", "entity_id": f"{n:02}"})
    reader = Reader(client, name)
    reader.refresh()
    seen = []
    for page in reader.everything(2):
        seen += [document.id for document in page]
        node.put(name, f"block:late-{len(seen)}", 1, {"entity_type": "block", "entity_id": "99"})
        node.ok("POST", f"/{name}/_refresh")
    assert sorted(seen) == sorted(f"block:{n}" for n in range(MANY))
    some = reader.get(["block:1", "block:none"], content=True)
    assert [found and found.version for found in some] == [1, None]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("concrete", [False, True], ids=["an alias", "an index of that very name"])
def test_a_rebuild_changes_the_index_under_its_name(cli: Cli, node: Node, index: str, concrete: bool) -> None:
    name = f"{index}-000001" if concrete else index
    env = {"ELASTIC_INDEX": name}
    (before,) = node.ok("GET", f"/{name}")
    cli.ok("rebuild", "--by", "t", "--reason", "t", "--mapping", "default", "--yes", env=env)
    (after,) = node.ok("GET", f"/{name}")
    assert after != before
    assert cli.json("verify", env=env)["documents"] == MANY
    cli.ok("index", "rollback", "--by", "t", "--reason", "t", "--yes", env=env)
    assert node.ok("GET", f"/{name}/_count")["count"] == MANY


def test_what_was_sent_is_shown_beside_what_is_there(cli: Cli, sql: psycopg.Connection) -> None:
    _, event = lab.put(sql, rank_score="NaN")
    cli.ok("worker", "--drain")
    assert "mapping" in cli.ok("failed", "show", str(event))
