"""The sink's roles: each one's whole life asks for nothing that its role does not permit.

The engine here has no security: a front refuses every request that no privilege of the role is for.
"""

import json
import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.domain.errors import UsageError
from outboxctl.sink.engines import ELASTICSEARCH, ENGINES, OPENSEARCH
from outboxctl.sink.roles import ACTIONS, COMPOSITE, GRANTS, Grant, names_of, orders
from processes import Cli
from servers import Servers
from tls import Front

pytestmark = pytest.mark.slow(reason="an engine with security of its own")

WHO = ("--by", "alice", "--reason", "why", "--yes")
As = Callable[[str], AbstractContextManager[Front]]
DELETES = """INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
    SELECT gen_random_uuid(), 'block', entity_id, 'delete', 2, 'pending' FROM search_index LIMIT 3"""
# What is sent, and the privilege that it needs; `{}` is one of our names. `None`: everybody may.
REQUESTS = (
    ("HEAD", "/{}", "view_index_metadata"),
    ("HEAD|GET", "/_alias/{}", "view_index_metadata"),
    ("GET", "/{}(/_settings|/_mapping|/_alias|/_search_shards)?", "view_index_metadata"),
    ("PUT|POST", "/{}/_bulk", "index"),
    ("GET|POST", "/{}/(_mget|_search|_count|_pit)", "read"),
    ("POST", "/_search", "read"),  # of a point in time, which knows its index
    ("DELETE", "/_pit", None),
    ("POST", "/{}/_search/point_in_time", "read"),  # so OpenSearch calls it
    ("DELETE", "/_search/point_in_time", None),
    ("POST", "/{}/_refresh", "maintenance"),
    ("GET", "/{}/_stats(/.*)?", "monitor"),
    ("PUT|DELETE", "/{}", "manage"),
    ("PUT", "/{}/(_settings|_mapping|_block/write|_clone/{})", "manage"),
    ("POST", "/_aliases", "manage"),
    ("GET", "/(_cluster/health/{}|_cluster/settings|_cluster/state/.*|_nodes/.*)?", "cluster:monitor"),
    ("POST", "/_cluster/allocation/explain", "cluster:monitor"),
    ("POST", "/_security/user/_has_privileges", None),
)
MANAGE = {"manage", "view_index_metadata", "monitor", "maintenance"}  # what `manage` comprises


def permitted(
    role: str, method: str, path: str, name: str, also: str = "", projected: Sequence[str] = ()
) -> bool:
    """Whether a role's privileges are for this request, by the table in `outboxctl.sink.roles`.

    `also`: a regular expression of further names, as a test adds them. `projected`: the indexes of
    projections.
    """
    (grant,) = [each for each in GRANTS if each.role == role]
    return _are_for(grant, grant.index, method, path, [_seen(name), *([also] if also else [])]) or (
        bool(projected)
        and _are_for(
            grant, (*grant.index, *grant.projected), method, path, [_seen(each) for each in projected]
        )
    )


def _seen(name: str) -> str:
    """The names that a role for this one may see."""
    return "|".join(each.strip("/") for each in names_of(name)) + rf"|{re.escape(name)}-\*"


def _are_for(grant: Grant, privileges: Sequence[str], method: str, path: str, names: list[str]) -> bool:
    held = {*privileges, *(f"cluster:{each.removeprefix('cluster:')}" for each in grant.cluster), None}
    held |= MANAGE if "manage" in held else set()
    one = "|".join(names)
    ours = f"({one})(,({one}))*"
    return any(
        privilege in held and re.fullmatch(methods, method) and re.fullmatch(asked.replace("{}", ours), path)
        for methods, asked, privilege in REQUESTS
    )


@pytest.fixture
def acting_as(servers: Servers, index: str) -> As:
    """The sink as it is for one in a role."""
    return lambda role: Front(
        servers.sink, permits=lambda method, path: permitted(role, method, path, index)
    ).open()


def _at(cli: Cli, front: Front) -> Cli:
    return Cli(cli.env | {"ELASTIC_URL": front.url}, cli.cwd)


def test_a_worker_needs_no_more_than_its_role(
    acting_as: As, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    cli.ok("inject", "load", "--count", "30", "--rate", "0")
    with acting_as("worker") as front:
        worker = _at(cli, front)
        worker.ok("worker", "--drain")
        sql.execute(DELETES.encode())
        sql.execute("DELETE FROM search_index WHERE ctid IN (SELECT ctid FROM search_index LIMIT 3)")
        worker.ok("worker", "--drain")
        assert front.refused == []
        engine.indices.refresh(index=index)
        assert int(engine.count(index=index)["count"]) <= 30
        for denied in (("rebuild", *WHO), ("verify",)):
            done = worker(*denied)
            assert done.returncode == 3, done.stderr
            assert "unauthorized" in done.stderr
    assert {method for method, _ in front.asked} >= {"HEAD", "POST"}


def test_a_viewer_compares_and_examines_and_writes_nothing(
    acting_as: As, cli: Cli, sql: psycopg.Connection, index: str
) -> None:
    cli.ok("inject", "load", "--count", "5", "--rate", "0")
    cli.ok("inject", "bad-op")
    cli.ok("worker", "--drain")
    event = sql.execute("SELECT id::text FROM search_outbox_events WHERE status = 'failed'").fetchall()[0][0]
    with acting_as("viewer") as front:
        viewer = _at(cli, front)
        viewer.ok("verify")
        viewer.ok("failed", "show", event)
        viewer("check", "--drift-sample", "5")
        found = json.loads(viewer("doctor", "--only", "sink", "--json").stdout)["findings"]
        assert "not-examined" not in {each["id"] for each in found}
        assert front.refused == []
        sql.execute("UPDATE search_outbox_events SET status = 'pending', attempts = 0, processed_at = NULL")
        viewer("worker", "--drain", env={"OUTBOX_MAX_ATTEMPTS": "1"})
        assert set(front.refused) == {("POST", f"/{index}/_bulk")}
        reasons = sql.execute("SELECT DISTINCT error_reason FROM search_outbox_events WHERE op = 'upsert'")
        assert reasons.fetchall() == [("auth",)]


@pytest.mark.slow(reason="two rebuilds and a repair")
def test_an_operator_rebuilds_goes_back_and_repairs(
    acting_as: As, cli: Cli, engine: Elasticsearch, index: str
) -> None:
    cli.ok("inject", "load", "--count", "5", "--rate", "0")
    cli.ok("worker", "--drain")
    with acting_as("operator") as front:
        operator = _at(cli, front)
        operator.ok("rebuild", *WHO)
        operator.ok("index", "rollback", *WHO)
        operator.ok("index", "cleanup", *WHO)
        lost = engine.search(index=index, size=1)["hits"]["hits"][0]["_id"]
        engine.delete(index=index, id=lost)
        engine.index(index=index, id="block:nobody", document={"text": "foreign"}, refresh=True)
        operator.ok("verify", "--repair", *WHO)
        operator.ok("worker", "--drain")
        operator.ok("verify")
    assert front.refused == []


@pytest.mark.no_servers
def test_the_requests_are_those_of_each_engines_security() -> None:
    given = orders(ELASTICSEARCH, "products")
    assert [(each.method, each.path) for each in given] == [
        ("PUT", f"_security/role/outbox_{role}") for role in ("worker", "operator", "viewer")
    ]
    assert given[0].body == {
        "cluster": [],
        "indices": [
            {
                "names": ["products", "/products-[0-9]{6}/"],
                "privileges": ["index", "delete", "view_index_metadata"],
            }
        ],
    }
    for_shop = {
        "names": ["shop", "/shop-[0-9]{6}/"],
        "privileges": ["index", "delete", "view_index_metadata"],
    }
    for_shop["privileges"] += ["read", "maintenance"]  # a TRUNCATE is expanded from the ids of the index
    worker, *_ = orders(ELASTICSEARCH, "products", projected=["shop"])
    assert worker.body["indices"][1:] == [for_shop]
    assert "read" not in worker.body["indices"][0]["privileges"]
    (theirs, *_) = orders(OPENSEARCH, "products")
    assert theirs.path == "_plugins/_security/api/roles/outbox_worker"
    # Without `GET /` a worker that does not know whom it meets takes OpenSearch for nobody it knows.
    assert "cluster:monitor/main" in theirs.body["cluster_permissions"]
    assert theirs.body["index_permissions"][0]["allowed_actions"][:2] == ["index", "delete"]
    assert set(COMPOSITE) == {grant.role for grant in GRANTS}
    assert {privilege for grant in GRANTS for privilege in grant.index} == set(ACTIONS)
    with pytest.raises(UsageError, match="no API keys"):
        orders(OPENSEARCH, "products", keys=True)
    with pytest.raises(UsageError, match="--prefix"):
        orders(ELASTICSEARCH, "products", prefix="a/b")


@pytest.mark.no_servers
@pytest.mark.parametrize("index", ["shop", "shop.eu+x", "a(b)~c&d@e"])
def test_an_unrelated_index_of_a_similar_name_is_not_in_the_role(index: str) -> None:
    exact, pattern = names_of(index)
    assert exact == index
    mine = re.compile(pattern.strip("/"))
    assert mine.fullmatch(f"{index}-000002")
    for other in (
        "orders",
        "00002",
        "000002-old",
        "0000021",
        "*",
        "",
        "\u0660\u0660\u0660\u0660\u0660\u0662",
    ):
        assert not mine.fullmatch(f"{index}-{other}"), other
    for engine in ENGINES.values():
        assert f"{index}-*" not in str([order.body for order in orders(engine, index)])
    assert f"{index}-*" not in str([order.body for order in orders(ELASTICSEARCH, index, keys=True)])


def test_the_command_prints_and_sends_nothing(cli: Cli, servers: Servers, index: str, tmp_path: Path) -> None:
    with Front(servers.sink).open() as front:
        own = Cli(cli.env | {"ELASTIC_URL": front.url, "ELASTIC_API_KEY": "czNjcmV0"}, tmp_path)
        both = own.ok("roles", "--engine", "opensearch")
        assert "roles/outbox_worker" in both
        assert "GRANT SELECT ON" in both
        shown = own.ok("roles", "--curl", "--prefix", "our_")
        assert "czNjcmV0" not in shown
        assert front.asked == []
        (line, *more) = shown.strip().splitlines()
        words = shlex.split(line)
        assert words[0] == "curl"
        assert f"{front.url}/_security/role/our_worker" in words
        assert json.loads(words[-1])["indices"][0]["names"] == [index, f"/{index}-[0-9]{{6}}/"]
        assert len(more) == 2
        assert own("roles", "--projection-index", "Shop*").returncode == 2
        assert own("roles", "--engine", "opensearch", "--api-keys").returncode == 2
