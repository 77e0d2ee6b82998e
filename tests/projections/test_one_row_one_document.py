"""A row without a document of its own (two rows for one key, an empty key) fails alone, and is named."""

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
CREATE TABLE shop.things (id text PRIMARY KEY, n int);
CREATE TABLE shop.names (thing_id text, name text);
CREATE VIEW shop.documents AS
SELECT t.id, t.n, m.name FROM shop.things t LEFT JOIN shop.names m ON m.thing_id = t.id;
INSERT INTO shop.things SELECT chr(96 + n), n FROM generate_series(1, 20) n;
"""
TWICE = "INSERT INTO shop.names VALUES ('g', 'one'), ('g', 'other'), ('a', 'only')"
EMPTY = "INSERT INTO shop.things VALUES ('', 0)"


@pytest.fixture
def things(things: Callable[..., str]) -> str:
    """Twenty things by a text, and the index of their projection."""
    return things(TABLES, kind="pg_catalog.text")


def wanted(sql: psycopg.Connection) -> dict[str, Any]:
    """The documents of keys with one row, by id."""
    rows = sql.execute(
        "SELECT id, min(to_json(v)::text) FROM shop.documents v GROUP BY id HAVING count(*) = 1 AND id <> ''"
    )
    return {id_: json.loads(text) for id_, text in rows.fetchall()}


def report(cli: Cli, *more: str) -> Any:
    """What `verify` finds, with exit code 4."""
    done = cli("verify", "--projection", "thing", "--json", *more)
    assert done.returncode == 4, done
    return json.loads(done.stdout)["projections"][0]


@pytest.mark.parametrize(
    ("rows", "key", "words"), [(TWICE, "g", "more than one row"), (EMPTY, "", "empty")], ids=["two", "empty"]
)
def test_the_row_fails_alone_and_each_command_names_it(
    things: str, rows: str, key: str, words: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute(rows.encode())
    ids = [id_ for (id_,) in sql.execute("SELECT id FROM shop.things ORDER BY id").fetchall()]
    shop.changed(sql, *ids, name="thing")
    cli.ok("worker", "--drain")
    assert shop.held(engine, things) == wanted(sql)
    ((reason, error),) = [row[1:] for row in shop.rows(sql) if row[0] != "done"]
    assert reason == "bad_document"
    assert words in error
    for more in ((), ("--versions-only",)):
        found = report(cli, *more)
        assert [(each["kind"], each["id"]) for each in found["first"]] == [("unreadable", key)], more
        assert words in found["first"][0]["error"]
        assert found["documents"] == found["rows"] - 1 == len(wanted(sql))
    done = cli("projection", "preview", "thing", key, "a")
    assert done.returncode == 4, done.stderr
    assert words in done.stdout
    engine.delete(index=things, id="b")
    repaired = report(cli, "--repair", *WHO)["repaired"]
    assert (repaired["enqueued"], repaired["left"]) == (1, 1)
    cli.ok("worker", "--drain")
    assert shop.held(engine, things) == wanted(sql)
    done = cli("rebuild", "--projection", "thing", *WHO, "--yes")
    assert done.returncode == 4, done
    assert words in done.stdout + done.stderr
    cli.ok("rebuild", "--projection", "thing", *WHO, "--yes", "--allow-failures")
    assert shop.held(engine, things) == wanted(sql)


@pytest.mark.parametrize("key", ["g", ""])
def test_a_row_that_is_gone_or_alone_again_needs_no_person(
    things: str, key: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute(f"{TWICE}; {EMPTY}".encode())
    sql.execute("DELETE FROM shop.names WHERE name = 'other'; DELETE FROM shop.things WHERE id = ''")
    shop.changed(sql, key, name="thing")
    cli.ok("worker", "--drain")
    assert [row[0] for row in shop.rows(sql)] == ["done"]
    assert shop.held(engine, things).keys() == {key} - {""}
