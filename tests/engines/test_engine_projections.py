"""Documents of projections before each engine: routing over several shards, and the list of all ids."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from docs.blocks import ROOT, blocks
from docs.shell import terminal
from engines.node import Node
from outboxctl.sink.delivery import shards
from outboxctl.sink.index import scan, view
from outboxctl.sink.transport.client import Client
from processes import Cli
from projections import mall
from projections.store import WHO
from projections.test_routing import FILE, SHARDS, TABLES, rows

pytestmark = pytest.mark.real_engine
SLOW = pytest.mark.slow(reason="`make test-engines` runs it on each engine, too")
Placed = Callable[[], dict[str, list[tuple[str, str]]]]


@pytest.fixture
def cars(sql: psycopg.Connection, cli: Cli, index: str, tmp_path: Path) -> str:
    """Sixty cars, routed by a column that may change, are in an index of five shards."""
    (tmp_path / "mapping.json").write_text(json.dumps({"settings": {"number_of_shards": SHARDS}}))
    file = tmp_path / "rent.toml"
    file.write_text(FILE.format(index=index))
    sql.execute(TABLES)
    cli.ok("projection", "apply", str(file), *WHO)
    sql.execute("UPDATE rent.cars SET name = name || '!'")
    cli.ok("worker", "--drain")
    return f"{index}-cars"


@pytest.fixture
def placed(cars: str, node: Node) -> Placed:
    """Each id in the index of cars, with the name and the routing of all its copies."""

    def found() -> dict[str, list[tuple[str, str]]]:
        node.ok("POST", f"/{cars}/_refresh")
        copies: dict[str, list[tuple[str, str]]] = {}
        for hit in node.ok("GET", f"/{cars}/_search?size=1000")["hits"]["hits"]:
            copies.setdefault(hit["_id"], []).append((hit["_source"]["name"], hit.get("_routing", "")))
        return copies

    return found


@SLOW
def test_a_document_moves_with_its_routing_and_a_delete_finds_it(
    placed: Placed, cli: Cli, sql: psycopg.Connection
) -> None:
    assert placed() == rows(sql)
    sql.execute("UPDATE rent.cars SET tenant = 'moved-' || id")
    sql.execute("UPDATE rent.cars SET tenant = NULL WHERE id % 7 = 0")
    sql.execute("DELETE FROM rent.cars WHERE id % 3 = 0")
    cli.ok("worker", "--drain")
    assert placed() == rows(sql)
    sql.execute("DELETE FROM rent.cars")
    cli.ok("worker", "--drain")
    assert placed() == {}
    assert sql.execute("SELECT DISTINCT status FROM search_outbox_events").fetchall() == [("done",)]


@SLOW
def test_a_late_write_of_another_routing_is_refused(
    placed: Placed, cars: str, cli: Cli, sql: psycopg.Connection, node: Node
) -> None:
    old = node.ok("GET", f"/{cars}/_search?size=100&version=true")["hits"]["hits"]
    sql.execute("UPDATE rent.cars SET tenant = 'moved-' || id; DELETE FROM rent.cars WHERE id > 40")
    cli.ok("worker", "--drain")
    for hit in old:
        about = f"routing={hit['_routing']}&version={hit['_version']}&version_type=external_gte"
        assert node.ask("PUT", f"/{cars}/_doc/{hit['_id']}?{about}", hit["_source"])[0] == 409
    assert placed() == rows(sql)


@SLOW
def test_a_truncate_empties_every_shard(placed: Placed, cli: Cli, sql: psycopg.Connection) -> None:
    """The ids are read from a view of each shard, where the engine sorts by shard."""
    sql.execute("TRUNCATE rent.cars")
    cli.ok("worker", "--drain")
    assert placed() == {}


@SLOW
def test_a_copy_in_another_shard_is_found_and_a_repair_removes_it(
    placed: Placed, cars: str, cli: Cli, sql: psycopg.Connection, node: Node
) -> None:
    cli.ok("rebuild", "--projection", "car", *WHO, "--yes")
    cli.ok("worker", "--drain")
    assert cli.json("verify", "--projection", "car")["projections"][0]["differences"] == 0
    for id_, tenant in (("1", "other-1"), ("2", "other-22"), ("77", "other-3")):
        node.ok("PUT", f"/{cars}/_doc/{id_}?routing={tenant}", {"id": int(id_), "name": "x"})
    assert len(placed()["2"]) == 2
    assert cli("projection", "preview", "car", "1").returncode == 4
    assert "77" in cli("verify", "--projection", "car", "--json").stdout
    assert cli("verify", "--projection", "car").returncode == 4
    cli("verify", "--projection", "car", "--repair", *WHO, "--yes")
    cli.ok("worker", "--drain")
    assert placed() == rows(sql)
    assert cli("projection", "preview", "car", "1", "2", "77").returncode == 0


def test_a_shard_is_read_after_it_had_to_wait_for_others(
    index: str, node: Node, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, documents = f"{index}-waiting", [str(n) for n in range(30)]
    node.ok("PUT", f"/{name}", {"settings": {"number_of_shards": 3}})
    for id_ in documents:
        node.ok("PUT", f"/{name}/_doc/{id_}", {"n": 1})
    listed, place = view.ids(client, name, None, 2)
    while place:
        more, place = view.ids(client, name, json.loads(json.dumps(place)), 2)
        listed += more
    assert sorted(listed, key=int) == documents
    monkeypatch.setattr(scan, "EXTENDED_SECONDS", -1.0)  # with each page instead of each minute
    read = [each.id for page in scan.Reader(client, name).everything(2) for each in page]
    assert sorted(read, key=int) == documents


@pytest.mark.parametrize("settings", [{}, {"number_of_routing_shards": 6}], ids=["default", "own"])
def test_the_shard_of_a_routing_is_the_engines(index: str, node: Node, settings: dict[str, int]) -> None:
    name = f"{index}-shards"
    node.ok("PUT", f"/{name}", {"settings": {"number_of_shards": 3, **settings}})

    def asked(routing: str) -> int:
        found = node.ok("GET", f"/{name}/_search_shards?routing={quote(routing)}")["shards"]
        return int(found[0][0]["shard"])

    shown = shards.cut(3, asked)
    assert shown is not None
    texts = ["a", "ab", "grüße", "日本", "\U0001f600x", "x" * 31, "tenant-77", *shown.routings]
    assert [shown.of(text) for text in texts] == [asked(text) for text in texts]
    assert [shown.of(text) for text in shown.routings] == [0, 1, 2]
    assert shards.cut(4, asked) is None


@SLOW
def test_a_join_field_finds_products_by_their_reviews(
    index: str, node: Node, cli: Cli, sql: psycopg.Connection, tmp_path: Path
) -> None:
    join = {"mappings": {"properties": {"kind": mall.JOIN}}}
    if node.ask("PUT", f"/{index}-join", join)[0] == 400:
        pytest.skip("this engine has no module parent-join")
    name = f"{index}-mall"
    sql.execute(mall.TABLES)
    sql.execute(mall.SOME)
    cli.ok("projection", "apply", str(mall.declaration(tmp_path, name, mall.JOIN)), *WHO)
    cli.ok("rebuild", "--projection", "product", "--yes")
    sql.execute("UPDATE mall.reviews SET product_id = 7 WHERE stars = 4 AND product_id > 10")
    sql.execute("DELETE FROM mall.products WHERE id IN (4, 9)")
    cli.ok("worker", "--drain")
    node.ok("POST", f"/{name}/_refresh")
    query = {"has_child": {"type": "review", "query": {"term": {"stars": 4}}}}
    hits = node.ok("POST", f"/{name}/_search", {"query": query, "size": 100})["hits"]["hits"]
    found = sql.execute("SELECT DISTINCT product_id FROM mall.reviews WHERE stars = 4").fetchall()
    assert {hit["_id"] for hit in hits} == {f"product:{id_}" for (id_,) in found}
    for each in ("product", "review"):
        cli.ok("verify", "--projection", each)


@SLOW
def test_the_join_field_of_the_page_is_found(
    index: str, node: Node, env: dict[str, str], tmp_path: Path
) -> None:
    if node.ask("PUT", f"/{index}-join", {"mappings": {"properties": {"kind": mall.JOIN}}})[0] == 400:
        pytest.skip("this engine has no module parent-join")
    page = blocks(ROOT / "docs/identity.md")
    _, mapping, query = (each.text.strip() for each in page if each.language in {"toml", "json"})
    written = next(each.text for each in page if "<<'JSON'" in each.text).split("JSON")[1].strip("'\n")
    stands_for = {
        written: mapping,
        'id_prefix = "place:"': 'id_prefix = "place:"\nrouting = "id"',
        'id_prefix = "rating:"': 'id_prefix = "rating:"\nrouting = "place_id"',
        'index = "guide"': f'index = "{index}-guide"',
        "/guide/": f"/{index}-guide/",
    }
    with terminal(env, tmp_path, stands_for) as shell:
        for block in page:
            if block.runs:
                shell.run(block)
    node.ok("POST", f"/{index}-guide/_refresh")
    found = node.ok("POST", f"/{index}-guide/_search", json.loads(query))["hits"]["hits"]
    assert [hit["_id"] for hit in found] == ["place:1"]
