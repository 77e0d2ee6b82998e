"""`projection init --from-pgsync`: files of the shapes of pgsync's examples, against a SELECT by hand."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli
from projections.pgsync_shapes import SHAPES, Shape
from projections.store import WHO
from shop import held


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


def wanted(sql: psycopg.Connection, shape: Shape) -> dict[str, Any]:
    """The documents by their ids, by the SELECT."""
    return {str(id_): document for id_, document in sql.execute(shape.select.encode()).fetchall()}
