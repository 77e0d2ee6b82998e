"""Each engine behind AWS's door: a domain (`es`), and what a Serverless collection (`aoss`) has of it."""

import json
from pathlib import Path

import psycopg
import pytest

import outboxctl
from engines.conftest import KIND
from engines.node import Node
from processes import Cli
from servers import Servers
from signed import Aws
from tls import Front

pytestmark = pytest.mark.real_engine
WHO = ("--by", "alice", "--reason", "why", "--yes")
DECLARED = """
[projections.item]
root = "public.items"
key = "id"
document = "public.items"
index = "{index}-items"
"""


@pytest.fixture
def file(cli: Cli, sql: psycopg.Connection, index: str) -> str:
    """The declaration of a table with fifty rows."""
    sql.execute("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL)")
    sql.execute("INSERT INTO items SELECT n, 'name ' || n FROM generate_series(1, 50) n")
    path = Path(cli.cwd, "items.toml")
    path.write_text(DECLARED.format(index=index))
    return str(path)


def _behind(front: Front, aws: Aws, cli: Cli) -> Cli:
    return Cli(cli.env | aws.environment() | {"ELASTIC_URL": front.url}, cli.cwd)


def _change(sql: psycopg.Connection) -> None:
    sql.execute("UPDATE items SET name = name || '!' WHERE id % 2 = 0")
    sql.execute("DELETE FROM items WHERE id % 5 = 0")
    sql.execute("INSERT INTO items SELECT n, E'\\u00e4 \" % ' || n FROM generate_series(101, 110) n")


def _same(sql: psycopg.Connection, node: Node, index: str) -> None:
    node.ok("POST", f"/{index}/_refresh")
    hits = node.ok("GET", f"/{index}/_search?size=1000")["hits"]["hits"]
    assert {hit["_id"]: hit["_source"]["name"] for hit in hits} == dict(
        sql.execute("SELECT id::text, name FROM items").fetchall()
    )


@pytest.mark.slow(reason="`make test-engines` runs it on each engine, too")
def test_a_domain_takes_a_projections_whole_life(
    cli: Cli, servers: Servers, sql: psycopg.Connection, node: Node, index: str, file: str
) -> None:
    aws = Aws()
    with Front(servers.sink, check=aws.check).open() as front:
        ours = _behind(front, aws, cli)
        ours.ok("projection", "apply", file, *WHO)
        ours.ok("rebuild", "--projection", "item", *WHO)
        _change(sql)
        ours.ok("worker", "--drain")
        ours.ok("verify", "--projection", "item")
        ours.ok("projection", "preview", "item", "2")
        sql.execute("TRUNCATE items")
        ours.ok("worker", "--drain")
        assert front.refused == []
    _same(sql, node, f"{index}-items")


@pytest.mark.skipif(not KIND.startswith("opensearch"), reason="Serverless is an OpenSearch")
def test_a_serverless_collection_is_filled_by_events_and_refuses_what_it_cannot_show(
    cli: Cli, servers: Servers, sql: psycopg.Connection, node: Node, index: str, file: str
) -> None:
    aws = Aws(service="aoss")
    with Front(servers.sink, check=aws.check).open() as front:
        ours = _behind(front, aws, cli)
        ours.ok("projection", "apply", file, *WHO)
        with sql.transaction():
            for (key,) in sql.execute("SELECT id FROM items").fetchall():
                outboxctl.touch(sql, "item", key)
        ours.ok("worker", "--drain")
        _change(sql)
        ours.ok("worker", "--drain")
        _same(sql, node, f"{index}-items")
        for needs in (
            ("verify",),
            ("rebuild", "--projection", "item", *WHO),
            ("projection", "preview", "item", "2"),
        ):
            done = ours(*needs)
            assert done.returncode not in (0, 4), needs
            assert "OpenSearch Serverless cannot show all that an index holds" in done.stderr
        assert json.loads(ours("doctor", "--only", "sink", "--json").stdout)["findings"] == []
        ours.ok("status")
