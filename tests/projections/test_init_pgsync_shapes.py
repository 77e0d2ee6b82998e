"""`projection init --from-pgsync`: files of the shapes of pgsync's examples, against a SELECT by hand."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli, eventually
from projections.pgsync_shapes import SHAPES, Shape
from projections.shop import held
from projections.store import WHO

WRITES = 600
UPDATE = """
UPDATE {table} SET {column} = (SELECT {column} FROM {table} OFFSET {other} LIMIT 1)
WHERE ctid = (SELECT ctid FROM {table} OFFSET {row} LIMIT 1)
"""
DELETE = "DELETE FROM {table} WHERE ctid = (SELECT ctid FROM {table} OFFSET {row} LIMIT 1)"
INSERT = """
INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object('id', {new}))).* FROM {table} t
OFFSET {row} LIMIT 1
"""


@pytest.fixture
def applied(cli: Cli, sql: psycopg.Connection, index: str, tmp_path: Path) -> None:
    """Each shape's tables and rows, and its file converted and in force."""
    for shape in SHAPES:
        sql.execute(shape.tables.encode())
        sql.execute(shape.rows.encode())
    schema = [{"database": "x", "index": f"{index}-{each.name}", "nodes": each.nodes} for each in SHAPES]
    (tmp_path / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    made = cli.ok("projection", "init", "--from-pgsync", str(tmp_path / "schema.json"))
    (tmp_path / "made.toml").write_text(made, encoding="utf-8")
    cli.ok("projection", "apply", str(tmp_path / "made.toml"), *WHO)


@pytest.mark.usefixtures("applied")
def test_documents_are_what_the_file_says_through_changes_of_every_table(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    before = {each.name: wanted(sql, each) for each in SHAPES}
    cli.ok("worker", "--drain")
    assert {each.name: held(engine, f"{index}-{each.name}") for each in SHAPES} == before
    for shape in SHAPES:
        sql.execute(shape.changes.encode())
        assert wanted(sql, shape) != before[shape.name]
    cli.ok("worker", "--drain")
    for shape in SHAPES:
        assert held(engine, f"{index}-{shape.name}") == wanted(sql, shape), shape.name


@pytest.mark.slow(reason="writes at random while a worker delivers, and waits for the documents")
@pytest.mark.usefixtures("applied")
def test_random_writes_leave_no_document_wrong(
    worker: Callable[..., Any], sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    worker()
    tables = [name for shape in SHAPES for name in re.findall(r"CREATE TABLE (\S+)", shape.tables)]
    columns = {name: names(sql, name) for name in tables}
    random = Random(30)
    for number in range(WRITES):
        table = random.choice(tables)
        column = random.choice(columns[table])
        text = random.choice((UPDATE, UPDATE, UPDATE, INSERT, INSERT, DELETE))
        places = {"row": random.randrange(6), "other": random.randrange(12), "new": 100 + number}
        with suppress(psycopg.IntegrityError):
            sql.execute(text.format(table=table, column=f'"{column}"', **places).encode())
    for shape in SHAPES:
        agreed(sql, engine, f"{index}-{shape.name}", shape)
    assert all(wanted(sql, shape) for shape in SHAPES)


def agreed(sql: psycopg.Connection, engine: Elasticsearch, index: str, shape: Shape) -> None:
    """Wait until the documents are those of the SELECT."""
    eventually(lambda: held(engine, index) == wanted(sql, shape), within=120, what=shape.name)


def names(sql: psycopg.Connection, table: str) -> list[str]:
    """The columns of a table."""
    return [each.name for each in sql.execute(f"SELECT * FROM {table} LIMIT 0".encode()).description or ()]


def wanted(sql: psycopg.Connection, shape: Shape) -> dict[str, Any]:
    """The documents by their ids, by the SELECT."""
    return {str(id_): document for id_, document in sql.execute(shape.select.encode()).fetchall()}
