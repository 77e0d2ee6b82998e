"""Documents with a routing, in an index of several shards: one copy of each, wherever it was before."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes import ProxyFault, Script, fake_sink
from fakes.faults import refused
from processes import Cli, eventually
from projections.store import WHO
from servers import Servers

pytestmark = [pytest.mark.real_engine, pytest.mark.slow(reason="writes and deletes in each shard")]
SHARDS = 5
Placed = Callable[[], dict[str, list[tuple[str, str]]]]
TABLES = """
CREATE SCHEMA rent;
CREATE TABLE rent.cars (id int PRIMARY KEY, tenant text, name text);
CREATE TABLE rent.trips (tenant text, id int, name text, PRIMARY KEY (tenant, id));
INSERT INTO rent.cars SELECT n, 'tenant-' || n % 9, 'car ' || n FROM generate_series(1, 60) n
"""
FILE = """
[projections.car]
root = "rent.cars"
key = "id"
document = "rent.cars"
index = "{index}-cars"
mapping = "mapping.json"
routing = "tenant"

[projections.trip]
root = "rent.trips"
key = ["tenant", "id"]
document = "rent.trips"
index = "{index}-trips"
mapping = "mapping.json"
routing = "tenant"
"""


@pytest.fixture
def file(index: str, tmp_path: Path) -> Path:
    """The declarations."""
    (tmp_path / "mapping.json").write_text(json.dumps({"settings": {"number_of_shards": SHARDS}}))
    (tmp_path / "rent.toml").write_text(FILE.format(index=index))
    return tmp_path / "rent.toml"


@pytest.fixture
def rent(sql: psycopg.Connection, cli: Cli, index: str, file: Path) -> str:
    """Two projections with a routing in force: by a column that may change, and by a part of the key."""
    sql.execute(TABLES)
    planned = json.loads(cli("projection", "plan", str(file), "--json").stdout)["projections"]
    costs = [[each["text"].startswith("the routing tenant") for each in one["warnings"]] for one in planned]
    assert costs == [[True], []]
    cli.ok("projection", "apply", str(file), *WHO)
    return index


@pytest.fixture
def placed(rent: str, engine: Elasticsearch) -> Placed:
    """Each id in the index of cars, with the name and the routing of all its copies."""

    def found() -> dict[str, list[tuple[str, str]]]:
        engine.indices.refresh(index=f"{rent}-cars")
        copies: dict[str, list[tuple[str, str]]] = {}
        for hit in engine.search(index=f"{rent}-cars", size=1_000)["hits"]["hits"]:
            copies.setdefault(hit["_id"], []).append((hit["_source"]["name"], hit.get("_routing", "")))
        return copies

    return found


def rows(sql: psycopg.Connection) -> dict[str, list[tuple[str, str]]]:
    """What the index must hold."""
    found = sql.execute("SELECT id::text, name, coalesce(tenant, '') FROM rent.cars").fetchall()
    return {id_: [(name, tenant)] for id_, name, tenant in found}


class NamesNoShard(Script):
    """An engine for a login that may not ask `_search_shards`."""

    def other(self, request: str) -> ProxyFault:
        """That request alone is refused."""
        denied = refused(403, "security_exception", "action is unauthorized for this login")
        return denied if "/_search_shards" in request else super().other(request)


def test_where_the_engine_names_no_shard_nothing_is_written_and_events_wait(
    placed: Placed, cli: Cli, sql: psycopg.Connection, servers: Servers
) -> None:
    before = placed()
    sql.execute("UPDATE rent.cars SET tenant = 'moved-' || id")
    with fake_sink(NamesNoShard(), upstream=servers.sink) as sink:
        done = cli("worker", "--drain", env={"ELASTIC_URL": sink.url})
    assert "unauthorized for this login" in done.stderr
    assert placed() == before
    sql.execute("UPDATE search_outbox_events SET next_retry_at = NULL")
    cli.ok("worker", "--drain")
    assert placed() == rows(sql)


def test_an_index_of_other_shards_behind_the_alias_is_noticed_by_a_running_worker(
    placed: Placed, cli: Cli, sql: psycopg.Connection, worker: Callable[..., object], file: Path
) -> None:
    worker()
    sql.execute("UPDATE rent.cars SET name = name || '!'")
    eventually(lambda: placed() == rows(sql))
    (file.parent / "mapping.json").write_text(json.dumps({"settings": {"number_of_shards": SHARDS + 2}}))
    cli.ok("projection", "apply", str(file), *WHO)
    cli.ok("rebuild", "--projection", "car", *WHO, "--yes")
    sql.execute("UPDATE rent.cars SET tenant = 'moved-' || id WHERE id % 2 = 0")
    sql.execute("DELETE FROM rent.cars WHERE id % 3 = 0")
    eventually(lambda: placed() == rows(sql))


def test_a_routing_of_the_key_needs_no_other_shard(
    rent: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute("INSERT INTO rent.trips SELECT 'tenant-' || n % 9, n, 'trip' FROM generate_series(1, 50) n")
    cli.ok("worker", "--drain")
    for change in (
        "UPDATE rent.trips SET tenant = 'moved' WHERE id % 2 = 0",
        "DELETE FROM rent.trips WHERE id % 5 = 0",
    ):
        sql.execute(change)
        cli.ok("worker", "--drain")
    engine.indices.refresh(index=f"{rent}-trips")
    hits = engine.search(index=f"{rent}-trips", size=100)["hits"]["hits"]
    keys = sql.execute("SELECT tenant, tenant || ':' || id FROM rent.trips ORDER BY 2").fetchall()
    assert sorted((hit["_routing"], hit["_id"]) for hit in hits) == sorted(keys)
    deletes = engine.indices.stats(index=f"{rent}-trips")["_all"]["primaries"]["indexing"]["delete_total"]
    assert deletes == 35  # 25 of the old keys, 10 of rows that are gone; none in other shards
    assert cli("verify", "--projection", "trip").returncode == 0
