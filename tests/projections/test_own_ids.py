"""An `_id` of one's own through all commands, on real servers; and what is sent although it is unchanged."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from processes import Cli
from projections.test_places import TABLES
from rebuilding import behind
from servers import an_index

WHO = ("--by", "alice", "--reason", "skus", "--yes")
FILE = """
[projections.wares]
root = "wares.items"
key = "id"
document = "wares.documents"
index = "{index}"
"""
PREFIX = """
UPDATE outbox_projections SET definition = jsonb_set(definition, '{id_prefix}', '"w:"'), applied_at = now()
"""
REASONS = "SELECT status, error_reason, error FROM search_outbox_events WHERE status <> 'done'"


@dataclass
class Wares:
    """The tables, the commands and the index."""

    def __init__(
        self, sql: psycopg.Connection, cli: Cli, engine: Elasticsearch, index: str, file: Path
    ) -> None:
        self.sql, self.cli, self.engine, self.index, self.file = sql, cli, engine, index, file

    def apply(self, *more: str) -> None:
        self.file.write_text(FILE.format(index=self.index) + "\n".join(more), encoding="utf-8")
        self.cli.ok("projection", "apply", str(self.file), *WHO)
        self.cli.ok("worker", "--drain")

    def do(self, *statements: str) -> None:
        with self.sql.transaction():
            for each in statements:
                self.sql.execute(each.encode())
        self.cli.ok("worker", "--drain")

    def agree(self, key: str = "sku") -> dict[str, Any]:
        """What the index holds, which is what the view has; `verify` says so, too."""
        held = shop.held(self.engine, self.index)
        assert held == shop.documents(self.sql, "wares.documents", key)
        assert self.cli.json("verify", "--projection", "wares")["projections"][0]["differences"] == 0
        return held

    def versions(self) -> dict[str, int]:
        self.engine.indices.refresh(index=self.index)
        hits = self.engine.search(index=self.index, version=True, size=100)["hits"]["hits"]
        return {hit["_id"]: hit["_version"] for hit in hits}


@pytest.fixture
def wares(sql: psycopg.Connection, cli: Cli, engine: Elasticsearch, tmp_path: Path) -> Iterator[Wares]:
    """Three wares, not declared yet."""
    sql.execute(TABLES)
    sql.execute("INSERT INTO wares.items VALUES (1, 'a', 10), (2, 'b:%é\"', 20), (3, 'c', 30)")
    with an_index(engine) as name:
        yield Wares(sql, cli, engine, name, tmp_path / "wares.toml")


@pytest.mark.real_engine
@pytest.mark.parametrize("more", ["", 'routing = "price"', 'routing = "id"', "skip_unchanged = true"])
def test_documents_have_their_column_for_an_id_whatever_becomes_of_it(wares: Wares, more: str) -> None:
    wares.apply('id = "sku"', more)
    assert set(wares.agree()) == {"a", 'b:%é"', "c"}
    wares.do("UPDATE wares.items SET sku = CASE id WHEN 1 THEN 'c' ELSE 'a' END WHERE id IN (1, 3)")
    assert wares.agree()["c"]["id"] == 1
    wares.do("UPDATE wares.items SET sku = 'd' WHERE id = 1", "DELETE FROM wares.items WHERE id = 2")
    wares.do("UPDATE wares.items SET id = 9 WHERE id = 3")
    assert set(wares.agree()) == {"a", "d"}
    same = json.loads(wares.cli.ok("projection", "preview", "wares", "1", "--json"))
    assert "d" in json.dumps(same)
    wares.do("TRUNCATE wares.items")
    assert wares.agree() == {}
    assert wares.sql.execute("SELECT FROM outbox_places").rowcount == 0


def test_a_rebuild_writes_down_where_documents_are_and_verify_mends_by_events(wares: Wares) -> None:
    wares.apply('id = "sku"')
    wares.sql.execute("TRUNCATE outbox_places")  # as of a database whose worker never wrote them
    wares.cli.ok("rebuild", "--projection", "wares", *WHO)
    assert behind(wares.engine, wares.index) == [f"{wares.index}-000002"]
    wares.agree()
    wares.do("UPDATE wares.items SET sku = CASE id WHEN 1 THEN 'c' ELSE 'a' END WHERE id IN (1, 3)")
    wares.do("UPDATE wares.items SET price = 5 WHERE id = 1")  # neither is looked at for the other for ever
    wares.do("UPDATE wares.items SET sku = CASE id WHEN 1 THEN 'xa' WHEN 3 THEN 'xc' ELSE 'x' || sku END")
    wares.agree()
    wares.engine.delete(index=wares.index, id="xa", refresh=True)
    wares.engine.index(index=wares.index, id="xc", document={"price": 1}, refresh=True)
    for id_ in ("foreign", "2", "9"):  # two of them like keys, of a row and of none
        wares.engine.index(index=wares.index, id=id_, document={}, refresh=True)
    done = wares.cli("verify", "--projection", "wares", "--json")
    (report,) = json.loads(done.stdout)["projections"]
    assert done.returncode == 4
    assert report["differences"] == 5, report
    wares.cli("verify", "--projection", "wares", "--repair", *WHO)
    wares.cli.ok("worker", "--drain")
    wares.agree()


def test_two_rows_of_one_id_and_a_row_without_one_fail_by_name(wares: Wares) -> None:
    wares.sql.execute(
        "CREATE VIEW wares.lower AS SELECT id, nullif(lower(sku), 'c') AS slug, price FROM wares.items"
    )
    wares.file.write_text(
        FILE.format(index=wares.index).replace("wares.documents", "wares.lower") + 'id = "slug"'
    )
    wares.cli.ok("projection", "apply", str(wares.file), *WHO)
    wares.cli.ok("worker", "--drain")
    wares.do("INSERT INTO wares.items VALUES (4, 'A', 40)")
    failed = [tuple(row) for row in wares.sql.execute(REASONS)]
    assert {(status, reason) for status, reason, _ in failed} == {("failed", "bad_document")}
    texts = sorted(error for _, _, error in failed)
    assert texts == [
        "a is the _id of 4 and of 1: a document has an _id of its own",
        "its slug is NULL, and is its _id",
    ]
    assert set(shop.held(wares.engine, wares.index)) == {"a", 'b:%é"'}
    wares.do("DELETE FROM wares.items WHERE id = 1")  # the one that was refused has the _id now
    assert shop.held(wares.engine, wares.index)["a"]["id"] == 4


@pytest.mark.parametrize("together", [True, False])
def test_a_deleted_row_is_not_found_behind_a_document_that_the_index_refuses(
    wares: Wares, *, together: bool
) -> None:
    wares.sql.execute("ALTER TABLE wares.items ADD COLUMN of_type text")
    wares.sql.execute("CREATE VIEW wares.typed AS SELECT id, sku, of_type FROM wares.items")
    (wares.file.parent / "mapping.json").write_text(
        '{"mappings": {"properties": {"of_type": {"type": "ip"}}}}', encoding="utf-8"
    )
    wares.file.write_text(
        FILE.format(index=wares.index).replace("wares.documents", "wares.typed")
        + 'id = "sku"\nmapping = "mapping.json"'
    )
    wares.cli.ok("projection", "apply", str(wares.file), *WHO)
    wares.cli.ok("worker", "--drain")
    leaves = (
        "DELETE FROM wares.items WHERE id = 1"
        if together
        else "UPDATE wares.items SET sku = 'z' WHERE id = 1"
    )
    wares.do(leaves, "UPDATE wares.items SET sku = 'a', of_type = 'none' WHERE id = 3")
    wares.do("DELETE FROM wares.items WHERE id = 1")
    held = shop.held(wares.engine, wares.index)
    assert [document["id"] for document in held.values() if document["id"] == 1] == []
    wares.do("UPDATE wares.items SET of_type = '::1' WHERE id = 3")
    assert shop.held(wares.engine, wares.index)["a"]["id"] == 3
    assert wares.sql.execute("SELECT FROM outbox_places").rowcount == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('id = "skew"', "wares.documents has no column 'skew'"),
        ('id = "price"', "'price' is not unique in wares.items"),
        ('id = "sku"\nversion = "price"', "not together with `version`"),
        ('skip_unchanged = true\nversion = "price"', "skip_unchanged: not together with `version`"),
        ('skip_unchanged = "yes"', "it must be true or false"),
        ("id = 7", "it must be a text"),
        ("skip_unchanged = true #{sku}", "not together with an index that a column chooses"),
    ],
)
def test_what_cannot_be_right_is_refused(wares: Wares, line: str, says: str) -> None:
    index = f"{wares.index}-{line.partition('#')[2]}".rstrip("-")
    wares.file.write_text(FILE.format(index=index) + line, encoding="utf-8")
    done = wares.cli("projection", "apply", str(wares.file), *WHO)
    assert done.returncode == 2
    assert says in done.stderr.replace("\n", " "), done.stderr
    assert wares.sql.execute("SELECT FROM outbox_projections").rowcount == 0


def test_unchanged_is_sent_only_where_the_index_may_not_hold_it(wares: Wares) -> None:
    wares.apply("skip_unchanged = true")
    before = wares.versions()
    wares.do("UPDATE wares.items SET price = price")
    shop.changed(wares.sql, 1, 2, 3, name="wares")
    wares.cli.ok("worker", "--drain")
    assert wares.versions() == before
    wares.sql.execute(PREFIX)
    shop.changed(wares.sql, 1, 2, 3, name="wares")
    wares.do()
    wares.agree("'w:' || id")
    wares.apply("skip_unchanged = true")
    before = wares.versions()
    wares.do("UPDATE wares.items SET price = 11 WHERE id = 1")
    wares.do("UPDATE wares.items SET price = 10 WHERE id = 1")
    assert {id_ for id_, version in wares.versions().items() if version != before[id_]} == {"1"}
    wares.engine.index(index=wares.index, id="2", document={"price": 1}, refresh=True)
    wares.cli("verify", "--projection", "wares", "--repair", *WHO)
    wares.cli.ok("worker", "--drain")
    wares.agree("id")
    for name in behind(wares.engine, wares.index):
        wares.engine.indices.delete(index=name)
    wares.cli.ok("projection", "apply", str(wares.file), *WHO)
    shop.changed(wares.sql, 1, 2, 3, name="wares")
    wares.cli.ok("worker", "--drain")
    assert len(wares.agree("id")) == 3


def test_what_is_unchanged_is_skipped_while_the_index_of_other_ids_is_kept(wares: Wares) -> None:
    wares.apply("skip_unchanged = true")
    wares.file.write_text(FILE.format(index=wares.index) + 'id = "sku"\nskip_unchanged = true')
    wares.cli.ok("projection", "apply", str(wares.file), *WHO)
    wares.cli.ok("rebuild", "--projection", "wares", *WHO)

    def looked_at() -> tuple[dict[str, int], Any]:
        shop.changed(wares.sql, 1, 2, 3, name="wares")
        wares.cli.ok("worker", "--drain")
        return wares.versions(), wares.sql.execute("SELECT * FROM outbox_deletes ORDER BY 1, 2").fetchall()

    before = looked_at()
    assert looked_at() == before
    assert wares.sql.execute("SELECT FROM outbox_places").rowcount == 6  # for a rollback
    wares.do("UPDATE wares.items SET price = 11 WHERE id = 1")
    assert looked_at()[1] == before[1]
    wares.sql.execute("UPDATE outbox_rebuilds SET kept_index = NULL")
    wares.do("UPDATE wares.items SET price = price + 1", "DELETE FROM wares.items WHERE id = 3")
    wares.agree()
    assert wares.sql.execute("SELECT FROM outbox_places").rowcount == 2


def test_a_row_that_raises_or_is_no_key_fails_no_event_of_who_takes_its_id(wares: Wares) -> None:
    wares.sql.execute("DROP VIEW wares.documents")
    wares.sql.execute("CREATE VIEW wares.documents AS SELECT id, sku, 60 / price AS price FROM wares.items")
    wares.apply('id = "sku"')
    wares.sql.execute(
        "INSERT INTO outbox_places (projection, document_id, index_name, entity_id, entity_key)"
        " SELECT projection, document_id, index_name, md5('of a text')::uuid, 'k' || entity_key"
        " FROM outbox_places"
    )
    wares.do(
        "UPDATE wares.items SET sku = 'z', price = 0 WHERE id = 1",
        "UPDATE wares.items SET sku = 'a' WHERE id = 2",
    )
    failed = "SELECT DISTINCT entity_key FROM search_outbox_events WHERE status <> 'done'"
    assert wares.sql.execute(failed).fetchall() == [("1",)]
    assert shop.held(wares.engine, wares.index)["a"]["id"] == 2
    wares.do("UPDATE wares.items SET price = 10 WHERE id = 1")
    assert set(wares.agree()) == {"a", "c", "z"}
