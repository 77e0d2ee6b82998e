"""`verify` never agrees on sides whose numbers differ, nor on rows that only the view has."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from processes import Cli
from projections.store import WHO

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.things (id int PRIMARY KEY, legacy_id int UNIQUE, n int, divisor int NOT NULL DEFAULT 1);
CREATE TABLE shop.others (id int PRIMARY KEY, n int);
INSERT INTO shop.things SELECT n, n + 100, n FROM generate_series(1, 5) n;
"""
RENAMED = "SELECT legacy_id AS id, n FROM shop.things"
UNITED = "SELECT id, n FROM shop.things UNION ALL SELECT id, n FROM shop.others"
RAISING = "SELECT id, n FROM shop.things UNION ALL SELECT id, n FROM shop.others WHERE 1 / n < 2"
PLAIN = "SELECT id, n FROM shop.things"
Begin = Callable[[str], str]


@pytest.fixture
def begin(things: Callable[..., str]) -> Begin:
    """Make the view, and put the projection in force; returns its index."""
    return lambda view: things(f"{TABLES} CREATE VIEW shop.documents AS {view}")


def report(cli: Cli, *more: str, code: int = 4) -> Any:
    """What `verify` finds."""
    done = cli("verify", "--projection", "thing", "--json", *more)
    assert done.returncode == code, done
    return json.loads(done.stdout)["projections"][0]


def kinds(found: Any) -> set[tuple[str, str]]:
    """Kind and id of each difference."""
    return {(each["kind"], each["id"]) for each in found["first"]}


def test_a_view_by_another_column_than_the_roots_key_is_no_agreement(
    begin: Begin, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    index = begin(RENAMED)
    shop.changed(sql, *range(101, 106), name="thing")
    cli.ok("worker", "--drain")
    sql.execute("UPDATE shop.things SET n = 50 WHERE id = 5")
    shop.changed(sql, 5, name="thing")
    cli.ok("worker", "--drain")
    assert shop.held(engine, index)["105"]["n"] == 5, "stale: that is what verify has to find"
    for more, wrong in (((), {("different", "105")}), (("--versions-only",), set())):
        found = report(cli, *more)
        assert kinds(found) == {("unreached", str(n)) for n in range(101, 106)} | wrong
        assert (found["rows"], found["documents"]) == (0, 5)
        assert "shop.things" in found["first"][-1]["error"]
    assert "agree" not in cli("verify", "--projection", "thing").stdout
    repaired = report(cli, "--repair", *WHO)["repaired"]
    assert (repaired["enqueued"], repaired["removed"], repaired["left"]) == (1, 0, 5)


def test_rows_that_only_the_view_has_are_listed_whether_they_have_a_document_or_not(
    begin: Begin, cli: Cli, sql: psycopg.Connection
) -> None:
    begin(UNITED)
    sql.execute("INSERT INTO shop.others SELECT n, 0 FROM generate_series(3, 1500) n")
    sql.execute("DELETE FROM shop.others WHERE id < 6")
    shop.changed(sql, *range(1, 6), name="thing")
    cli.ok("worker", "--drain")
    found = report(cli, "--limit", "10000")
    assert kinds(found) == {("unreached", str(n)) for n in range(6, 1501)}
    assert (found["rows"], found["documents"], found["differences"]) == (5, 5, 1495)
    done = cli("rebuild", "--projection", "thing", *WHO, "--yes")
    assert "1,495 rows of shop.documents have a key that no row of the root has" in done.stdout + done.stderr


def test_rows_that_cannot_be_looked_for_are_no_agreement(
    begin: Begin, cli: Cli, sql: psycopg.Connection
) -> None:
    begin(RAISING)
    shop.changed(sql, *range(1, 6), name="thing")
    cli.ok("worker", "--drain")
    assert report(cli, code=0)["rows"] == 5
    sql.execute("INSERT INTO shop.others VALUES (77, 0)")
    found = report(cli)
    assert found["by_kind"]["unreadable"] == 1
    assert "division by zero" in found["first"][0]["error"]


@pytest.mark.real_engine
def test_a_document_that_is_there_twice_is_no_agreement(
    begin: Begin, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    index = begin(PLAIN)
    engine.indices.delete(index=f"{index}-000001")
    engine.indices.create(index=f"{index}-000001", aliases={index: {}}, settings={"number_of_shards": 5})
    shop.changed(sql, *range(1, 6), name="thing")
    cli.ok("worker", "--drain")
    assert report(cli, code=0)["documents"] == 5
    routing = next(each for each in "abcdefgh" if not engine.exists(index=index, id="1", routing=each))
    engine.index(index=index, id="1", document={"id": 1, "n": 0}, routing=routing)
    found = report(cli)
    assert kinds(found) == {("uncounted", "*")}
    assert (found["rows"], found["documents"]) == (5, 6)
