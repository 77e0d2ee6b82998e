"""A key that is not the primary key, through all commands; and what is sent although it is unchanged."""

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
key = "{key}"
document = "wares.documents"
index = "{index}"
"""
PREFIX = """
UPDATE outbox_projections SET definition = jsonb_set(definition, '{id_prefix}', '"w:"'), applied_at = now()
"""
FORMER = """
UPDATE outbox_projections SET applied_at = now(),
    definition = definition || '{"id": {"name": "sku", "type": "pg_catalog.text", "of": ""}}'
"""
REASONS = "SELECT entity_key, status, error_reason, error FROM search_outbox_events WHERE status <> 'done'"


@dataclass
class Wares:
    """The tables, the commands and the index."""

    def __init__(
        self, sql: psycopg.Connection, cli: Cli, engine: Elasticsearch, index: str, file: Path
    ) -> None:
        self.sql, self.cli, self.engine, self.index, self.file = sql, cli, engine, index, file

    def write(self, *more: str, key: str = "sku") -> str:
        """Write the declaration; the name of its file."""
        text = FILE.format(index=self.index, key=key) + "\n".join(more)
        self.file.write_text(text, encoding="utf-8")
        return str(self.file)

    def apply(self, *more: str, key: str = "sku") -> None:
        self.write(*more, key=key)
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
@pytest.mark.parametrize("more", ["", 'routing = "price"', 'routing = "sku"', "skip_unchanged = true"])
def test_documents_have_their_key_for_an_id_whatever_becomes_of_it(wares: Wares, more: str) -> None:
    wares.apply(more)
    assert set(wares.agree()) == {"a", 'b:%é"', "c"}
    wares.do("UPDATE wares.items SET sku = CASE id WHEN 1 THEN 'c' ELSE 'a' END WHERE id IN (1, 3)")
    assert wares.agree()["c"]["id"] == 1
    wares.do(  # swapped again, by two statements: the constraint is deferred
        "UPDATE wares.items SET sku = 'a' WHERE id = 1", "UPDATE wares.items SET sku = 'c' WHERE id = 3"
    )
    assert wares.agree()["c"]["id"] == 3
    wares.do("UPDATE wares.items SET sku = CASE sku WHEN 'a' THEN 'c' ELSE 'd' END WHERE id IN (1, 3)")
    assert {sku: each["id"] for sku, each in wares.agree().items()} == {"c": 1, "d": 3, 'b:%é"': 2}
    wares.do("UPDATE wares.items SET sku = 'e' WHERE id = 1", "DELETE FROM wares.items WHERE id = 2")
    wares.do("UPDATE wares.items SET id = 9 WHERE id = 3")
    assert {sku: each["id"] for sku, each in wares.agree().items()} == {"d": 9, "e": 1}
    wares.cli.ok("projection", "preview", "wares", "e")
    wares.do("TRUNCATE wares.items")
    assert wares.agree() == {}
    assert wares.sql.execute("SELECT FROM outbox_places").rowcount == 0


def test_children_by_the_primary_key_change_the_document_of_the_other_key(wares: Wares) -> None:
    wares.sql.execute("""
        CREATE TABLE wares.notes (item_id int REFERENCES wares.items ON DELETE CASCADE ON UPDATE CASCADE,
            note text);
        CREATE INDEX ON wares.notes (item_id);
        CREATE OR REPLACE VIEW wares.documents AS SELECT i.id, i.sku, i.price,
            (SELECT json_agg(n.note ORDER BY n.note) FROM wares.notes n WHERE n.item_id = i.id) AS notes
        FROM wares.items i""")
    wares.apply()
    wares.do("INSERT INTO wares.notes VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    assert wares.agree()["a"]["notes"] == ["one"]
    wares.do(
        "UPDATE wares.notes SET item_id = 2 WHERE item_id = 1",
        "UPDATE wares.items SET sku = 'z' WHERE id = 2",
    )
    assert wares.agree()["z"]["notes"] == ["one", "two"]
    wares.do("UPDATE wares.items SET id = 30 WHERE id = 3")
    assert wares.agree()["c"]["notes"] == ["three"]
    wares.cli.ok("rebuild", "--projection", "wares", *WHO)
    assert behind(wares.engine, wares.index) == [f"{wares.index}-000002"]
    wares.agree()


def test_a_key_that_postgresql_computes_changes_with_what_it_is_computed_of(wares: Wares) -> None:
    wares.sql.execute(
        "ALTER TABLE wares.items ADD slug text GENERATED ALWAYS AS (lower(sku)) STORED NOT NULL UNIQUE"
    )
    wares.sql.execute(
        "CREATE OR REPLACE VIEW wares.documents AS SELECT id, sku, price, slug FROM wares.items"
    )
    wares.apply(key="slug")
    wares.do(
        "UPDATE wares.items SET sku = 'NEW' WHERE id = 1", "UPDATE wares.items SET sku = 'C' WHERE id = 3"
    )
    assert {slug: each["sku"] for slug, each in wares.agree("slug").items()} == {
        "new": "NEW",
        'b:%é"': 'b:%é"',
        "c": "C",
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('id = "sku"', 'a document\'s `_id` is its key: `id` is not supported any more … write key = "sku"'),
        ('id = "id"', "[projections.wares] id: … leave the line out"),
        ('id = "price"', 'ALTER "price" SET NOT NULL, ADD UNIQUE ("price"); then write key = "price"'),
        ('id = "slug"', 'keep the value in a column of wares.items (ADD "slug" … which the view returns'),
        ('skip_unchanged = true\nversion = "price"', "skip_unchanged: not together with `version`"),
        ('skip_unchanged = "yes"', "it must be true or false"),
        ("skip_unchanged = true #{sku}", "not together with an index that a column chooses"),
    ],
)
def test_what_cannot_be_right_is_refused(wares: Wares, line: str, says: str) -> None:
    file = wares.write(line, key="id")
    if column := line.partition("#")[2]:
        wares.file.write_text(wares.file.read_text().replace(wares.index, f"{wares.index}-{column}"))
    done = wares.cli("projection", "apply", file, *WHO)
    assert done.returncode == 2
    words = " ".join(done.stderr.split())
    assert all(part in words for part in says.split(" … ")), done.stderr
    assert wares.sql.execute("SELECT FROM outbox_projections").rowcount == 0


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("code text UNIQUE", "'code' can be NULL"),
        ("code text NOT NULL DEFAULT random()", "'code' is not unique in wares.items"),
        (
            "code text NOT NULL DEFAULT random(); CREATE UNIQUE INDEX ON wares.items (code) WHERE shown",
            "not unique",
        ),
        ("code text NOT NULL DEFAULT random(); CREATE UNIQUE INDEX ON wares.items (code, id)", "not unique"),
        (
            "code text NOT NULL DEFAULT random(); CREATE UNIQUE INDEX ON wares.items (lower(code))",
            "not unique",
        ),
        (
            "code text NOT NULL DEFAULT random(); CREATE UNIQUE INDEX ON wares.items (code) INCLUDE (price)",
            "",
        ),
    ],
)
def test_a_key_is_any_column_that_is_unique_and_not_null(wares: Wares, column: str, says: str) -> None:
    wares.sql.execute(f"ALTER TABLE wares.items ADD {column}".encode())
    wares.sql.execute(
        "CREATE OR REPLACE VIEW wares.documents AS SELECT id, sku, price, code FROM wares.items"
    )
    done = wares.cli("projection", "plan", wares.write(key="code"))
    assert done.returncode == (2 if says else 4)
    assert says in done.stderr


@pytest.mark.parametrize("key", ["sku", "id"])
def test_a_declaration_in_force_that_has_an_id_waits_until_the_changed_file_is_applied(
    wares: Wares, key: str
) -> None:
    wares.apply()
    before = shop.held(wares.engine, wares.index)
    wares.apply(key="id")  # as a former version had it: the key of events is `id`, the `_id` is `sku`
    wares.sql.execute(FORMER)
    version = max(wares.versions().values())
    for id_ in shop.held(wares.engine, wares.index):
        wares.engine.delete(index=wares.index, id=id_)
    for sku, document in before.items():
        wares.engine.index(
            index=wares.index, id=sku, document=document, version=version, version_type="external_gte"
        )
    wares.sql.execute("UPDATE wares.items SET price = 11, sku = 'new' WHERE id = 1")
    wares.sql.execute("DELETE FROM wares.items WHERE id = 3")
    done = wares.cli("worker", "--drain")
    assert "Traceback" not in done.stderr
    assert shop.held(wares.engine, wares.index) == before, "nothing is written by the other ids"
    waiting = wares.sql.execute(REASONS).fetchall()
    assert {(status, reason) for key_, status, reason, _ in waiting if key_} == {("pending", "config")}
    assert "outboxctl projection apply FILE" in done.stderr
    found = {each["id"] for each in json.loads(wares.cli("doctor", "--json").stdout)["findings"]}
    assert "projection-former-id" in found
    for command in (["verify"], ["rebuild", *WHO]):
        refused = wares.cli(command[0], "--projection", "wares", *command[1:])
        assert refused.returncode not in (0, 4), refused
        assert "is not supported any more" in " ".join(refused.stderr.split())
    planned = json.loads(wares.cli("projection", "plan", wares.write(key=key), "--json").stdout)
    steps = {step["what"] for step in planned["projections"][0]["steps"]}
    assert steps >= {"declaration", "documents", "rebuild"}
    wares.cli.ok("projection", "apply", str(wares.file), *WHO)
    wares.cli.ok("rebuild", "--projection", "wares", *WHO)
    wares.sql.execute("UPDATE search_outbox_events SET next_retry_at = NULL WHERE follow IS NULL")
    wares.cli.ok("worker", "--drain")
    wares.agree(key)
    assert "not supported any more" not in wares.cli("doctor").stdout


def test_unchanged_is_sent_only_where_the_index_may_not_hold_it(wares: Wares) -> None:
    wares.apply("skip_unchanged = true", key="id")
    before = wares.versions()
    wares.do("UPDATE wares.items SET price = price")
    shop.changed(wares.sql, 1, 2, 3, name="wares")
    wares.cli.ok("worker", "--drain")
    assert wares.versions() == before
    wares.sql.execute(PREFIX)
    shop.changed(wares.sql, 1, 2, 3, name="wares")
    wares.do()
    wares.agree("'w:' || id")
    wares.apply("skip_unchanged = true", key="id")
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
