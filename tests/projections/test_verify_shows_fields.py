"""`verify` says which fields differ, and what is wrong where the tables are no more as they were declared."""

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
CREATE TABLE shop.things (id int PRIMARY KEY, n int, name text, more jsonb);
CREATE VIEW shop.documents AS SELECT id, n, name, more FROM shop.things;
INSERT INTO shop.things SELECT n, n, 'p' || n, '{"a": 1}' FROM generate_series(1, 5) n;
"""


@pytest.fixture
def things(things: Callable[..., str], sql: psycopg.Connection, cli: Cli) -> str:
    """Five things, delivered; the index of their projection."""
    index = things(TABLES)
    shop.changed(sql, *range(1, 6), name="thing")
    cli.ok("worker", "--drain")
    return index


def test_what_differs_is_shown_with_its_fields(things: str, cli: Cli, engine: Elasticsearch) -> None:
    engine.index(index=things, id="1", document={"id": 1, "n": 1, "name": "p1", "more": {"a": 2}})
    engine.index(index=things, id="2", document={"id": 2, "n": None, "more": {"a": 1}, "old": 1})
    engine.delete(index=things, id="3")
    done = cli("verify", "--projection", "thing", "--json")
    (report,) = json.loads(done.stdout)["projections"]
    fields = {(each["id"], each["kind"]): each["fields"] for each in report["first"]}
    assert fields == {
        ("1", "different"): ["more"],
        ("2", "different"): ["n", "name", "old"],
        ("3", "missing"): [],
    }
    shown = cli("verify", "--projection", "thing").stdout
    assert "n, name, old" in shown


RENAMES: list[tuple[str, str]] = [
    ("ALTER TABLE shop.things RENAME id TO number", "shop.things"),
    ("ALTER TABLE shop.things RENAME TO objects", "shop.things"),
    ("ALTER VIEW shop.documents RENAME TO papers", "shop.documents"),
    ("ALTER VIEW shop.documents RENAME id TO number", "shop.documents"),
]


@pytest.mark.parametrize(("change", "named"), RENAMES)
def test_a_table_that_is_not_as_it_was_declared_is_named(
    things: str, change: str, named: str, cli: Cli, sql: psycopg.Connection
) -> None:
    assert things
    sql.execute(change.encode())
    commands: tuple[tuple[tuple[str, ...], Any], ...] = (
        (("verify", "--projection", "thing"), 5),
        (("verify", "--projection", "thing", "--versions-only"), 5),
        (("rebuild", "--projection", "thing", *WHO, "--yes"), 5),
    )
    for command, code in commands:
        done = cli(*command)
        assert done.returncode == code, (command, done)
        assert named in done.stderr
        assert "does not exist" in done.stderr
        assert "db upgrade" not in done.stderr
        assert "projection plan" in done.stderr
