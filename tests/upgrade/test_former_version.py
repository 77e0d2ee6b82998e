"""A database of the former version, with undelivered events: after the upgrade all documents are right.

`former.sql` is pg_dump's text of a database of revision 0002_suspended_views: four projections with their
triggers, and events that were waiting, claimed by a worker that is gone, to be expanded, or failed.
`former_documents.ndjson` is what the former worker had delivered by then.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from engines.node import Node
from processes import Cli, Worker, eventually
from schemas.judge import differences
from servers import Servers, delete_index

HERE = Path(__file__).parent
TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
LONG, INTEGER = {"type": "long"}, {"type": "integer"}
FIELDS: dict[str, dict[str, Any]] = {
    "products": {
        "id": LONG,
        "price": {"type": "double"},
        "color": {"type": "keyword"},
        "reviews": {"properties": {"body": TEXT, "stars": INTEGER}},
        **dict.fromkeys(("sku", "tenant", "title", "category"), TEXT),
    },
    "reviews": {"id": INTEGER, "stars": INTEGER, "body": TEXT, "title": TEXT},
    "listings": {"id": LONG, "sku": TEXT, "title": TEXT},
    "visits": {"day": {"type": "date"}, "id": LONG, "visitor": TEXT},
}
SELECTS = {
    "product": """SELECT p.id, p.sku, p.tenant, p.title, p.price, p.color, c.name AS category,
        (SELECT json_agg(json_build_object('stars', r.stars, 'body', r.body) ORDER BY r.id)
            FROM store.reviews r WHERE r.product_id = p.id) AS reviews
        FROM store.products p LEFT JOIN store.categories c ON c.id = p.category_id""",
    "review": """SELECT r.id, r.stars, r.body, p.title
        FROM store.reviews r LEFT JOIN store.products p ON p.id = r.product_id""",
    "listing": "SELECT p.id, p.sku, p.title FROM store.products p",
    "visit": "SELECT v.day, v.id, v.visitor FROM store.visits v",
}
# `id = "sku"` of the former version is `key = "sku"` now.
KEYS = {"product": ["id"], "review": ["id"], "listing": ["sku"], "visit": ["day", "id"]}
OPTIONS = {"product": 'routing = "tenant"', "review": "skip_unchanged = true"}
ROOTS = {name: f"store.{name}s" for name in KEYS} | {"listing": "store.products"}
WHO = ("--by", "alice", "--reason", "an upgrade")
WAITING = "SELECT FROM search_outbox_events WHERE status IN ('pending', 'processing') LIMIT 1"
LATER = """
UPDATE store.categories SET name = 'records' WHERE id = 2;
UPDATE store.products SET title = title || '!', sku = sku || 'b' WHERE id % 4 = 0;
UPDATE store.products SET tenant = 'tenant-8' WHERE id = 9;
DELETE FROM store.products WHERE id IN (11, 12);
UPDATE store.reviews SET product_id = 13 WHERE id = 20;
INSERT INTO store.reviews VALUES (200, 14, 5, 'after the upgrade');
DELETE FROM store.visits WHERE id = 4;
UPDATE store.visits SET visitor = 'somebody else' WHERE id = 20;
"""


@pytest.fixture
def url(empty_url: str) -> str:
    """The database of the former version in the place of a new one."""
    return empty_url


@pytest.fixture
def indexes(engine: Elasticsearch, index: str) -> Iterator[str]:
    """The documents that the former version has delivered, in indexes of its making."""
    for name, fields in FIELDS.items():
        alias = f"{index}-{name}"
        engine.indices.create(
            index=f"{alias}-000001",
            aliases={alias: {"is_write_index": True}},
            mappings={"dynamic": "false", "properties": fields},
            settings={"index": {"gc_deletes": "1h", "number_of_replicas": 0}},
        )
    body: list[Any] = []
    for line in (HERE / "former_documents.ndjson").read_text().splitlines():
        entry = json.loads(line)
        at = entry["at"]
        target = {
            "_index": at["index"].replace("former", index).replace("outbox-search-index", index),
            "_id": at["id"],
            "version": at["version"],
            "version_type": "external_gte",
        }
        body += [{"index": target | {key: at[key] for key in at.keys() & {"routing"}}}, entry["document"]]
    assert not engine.bulk(operations=body, refresh=True)["errors"]
    yield index
    for name in FIELDS:
        delete_index(engine, f"{index}-{name}")


@pytest.fixture
def database(url: str, indexes: str) -> Iterator[psycopg.Connection]:
    """The database of the former version, before the upgrade."""
    dump = (HERE / "former.sql").read_text()
    with psycopg.connect(url, autocommit=True) as loading:
        loading.execute(dump.replace("former-", f"{indexes}-").encode())
    with psycopg.connect(url, autocommit=True) as sql:
        yield sql


def declaration(folder: Path, index: str) -> Path:
    """Write the file of the former version as this version has it."""
    file = folder / "former.toml"
    parts = [
        f'[projections.{name}]\nroot = "{ROOTS[name]}"\nkey = {json.dumps(KEYS[name])}\n'
        f'index = "{index}-{name}s"\n{OPTIONS.get(name, "")}\nquery = """\n{select}\n"""\n'
        for name, select in SELECTS.items()
    ]
    file.write_text("\n".join(parts))
    return file


def wrong_documents(sql: psycopg.Connection, node: Node, index: str) -> list[str]:
    """Compare each index with the SELECT of its documents."""
    return [
        line
        for name in SELECTS
        for line in differences(sql, node, view=f"judged.{name}", keys=KEYS[name], index=f"{index}-{name}s")
    ]


def test_undelivered_events_of_the_former_version_are_delivered(
    database: psycopg.Connection,
    indexes: str,
    servers: Servers,
    cli: Cli,
    worker: Callable[..., Worker],
    tmp_path: Path,
) -> None:
    cli.ok("db", "upgrade")
    cli.ok("projection", "apply", str(declaration(tmp_path, indexes)), "--yes", *WHO)
    # The ids of its documents are others: of the former ones nothing knows which are left over.
    cli.ok("rebuild", "--projection", "listing", "--yes", *WHO)
    database.execute("CREATE SCHEMA judged")
    for name, select in SELECTS.items():
        database.execute(f"CREATE VIEW judged.{name} AS {select}".encode())
    node = Node(servers.sink)

    worker()
    eventually(lambda: database.execute(WAITING).fetchone() is None, what="all events are settled")
    assert wrong_documents(database, node, indexes) == []
    assert node.document(indexes, "block:" + uuid_of(database, "e2"))["text"] == "newer text"
    assert node.document(indexes, "block:" + uuid_of(database, "e3")) is None

    database.execute(LATER.encode())
    eventually(lambda: database.execute(WAITING).fetchone() is None, what="all events are settled")
    assert wrong_documents(database, node, indexes) == [], "after writes by the new triggers"
    failed = database.execute("SELECT op FROM search_outbox_events WHERE status = 'failed'").fetchall()
    assert failed == [("not-a-real-op",)], "the failed event is kept, no other one has failed"


def uuid_of(sql: psycopg.Connection, text: str) -> str:
    """Return the entity_id that the dump made of this text."""
    (found,) = sql.execute("SELECT md5(%s)::uuid::text", (text,)).fetchone() or ("",)
    return str(found)
