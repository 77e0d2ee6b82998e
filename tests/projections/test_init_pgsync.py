"""`projection init --from-pgsync`: the documents are those that pgsync's nesting gives."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli
from projections import library
from projections.store import WHO
from shop import held

Convert = Callable[[Any], CompletedProcess[str]]


@pytest.fixture
def convert(sql: psycopg.Connection, cli: Cli, tmp_path: Path) -> Convert:
    """The library's tables and rows, and the conversion of a schema file."""
    sql.execute(library.TABLES)
    sql.execute(library.ROWS)

    def run(schema: Any) -> CompletedProcess[str]:
        file = tmp_path / "schema.json"
        file.write_text(json.dumps(schema), encoding="utf-8")
        return cli("projection", "init", "--from-pgsync", str(file))

    return run


def test_documents_are_those_of_pgsyncs_nesting(
    convert: Convert, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, tmp_path: Path
) -> None:
    name = f"{index}-book"
    done = convert(library.schema(name))
    assert done.returncode == 0, done.stderr
    for lost in ("plugins", "transform.move", "isbn, which is its key"):
        assert lost in done.stdout
    file = tmp_path / "book.toml"
    file.write_text(done.stdout, encoding="utf-8")
    assert cli("projection", "plan", str(file)).returncode == 4
    cli.ok("projection", "apply", str(file), *WHO)
    sql.execute("UPDATE lib.books SET title = title || '.'")
    sql.execute("UPDATE lib.books SET title = trim('.' FROM title)")
    cli.ok("worker", "--drain")
    assert held(engine, name) == {"00-1": library.TEA, "00-2": library.SALT}
    mapping = next(iter(engine.indices.get_mapping(index=name).values()))["mappings"]["properties"]
    assert (mapping["title"]["type"], mapping["authors"]["type"]) == ("keyword", "nested")
    sql.execute("UPDATE lib.languages SET code = 'en' WHERE id = 1; UPDATE lib.countries SET name = 'Cymru'")
    cli.ok("worker", "--drain")
    changed = held(engine, name)["00-1"]
    assert changed["languages"] == ["en", "cy"]
    assert changed["authors"][0]["country"] == {"name": "Cymru"}


def broken(path: tuple[str | int, ...], value: Any) -> Any:
    """The schema with one value changed."""
    schema: Any = library.schema("books")
    at = schema
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return schema


PUBLISHER = (0, "nodes", "children", 0)
BAD: dict[str, tuple[Any, str]] = {
    "no document": ([], "it holds no documents"),
    "no nodes": ([{"index": "x"}], "`nodes` is missing"),
    "no table": (broken((0, "nodes", "table"), "bookz"), "nodes.table: there is no table lib.bookz"),
    "no column": (broken((0, "nodes", "columns"), ["titel"]), "did you mean title?"),
    "no relationship": (broken((*PUBLISHER, "relationship"), {}), "`type` is missing"),
    "variant": (
        broken((*PUBLISHER, "relationship", "variant"), "list"),
        "nodes.children[1].relationship.variant: 'list' is none of object, scalar",
    ),
    "no foreign key": (
        broken((*PUBLISHER, "table"), "languages"),
        "lib.languages has no column 'name'",
    ),
    "not tied": (
        broken((0, "nodes", "children", 4, "relationship", "through_tables"), ["authors"]),
        "no foreign keys are between lib.ratings and lib.authors",
    ),
    "foreign key column": (
        broken((*PUBLISHER, "relationship", "foreign_key", "parent"), ["publisher"]),
        "lib.books has no column 'publisher'; did you mean published?",
    ),
    "mapping": (
        broken((0, "nodes", "transform", "mapping"), {"title": "keyword"}),
        "nodes.transform.mapping.title: it must be an object, not 'keyword'",
    ),
    "label of the key": (
        broken((*PUBLISHER, "label"), "isbn"),
        "'isbn' is the label of a child, and a column of the key",
    ),
    "label": (broken((*PUBLISHER, "label"), " "), "nodes.children[1].label: it is blank"),
    "new name": (
        broken((0, "nodes", "transform", "rename"), {"isbn": ""}),
        "transform.rename.isbn: it is blank",
    ),
    "NUL": (broken((*PUBLISHER, "label"), "a\0b"), "it holds a NUL or half a character"),
    "two documents, one name": (library.schema("b") + library.schema("b"), "two documents have one name"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_and_where(case: str, convert: Convert) -> None:
    schema, said = BAD[case]
    done = convert(schema)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "schema.json" in done.stderr
    assert said in " ".join(done.stderr.split())


def test_several_documents_become_one_file(convert: Convert) -> None:
    done = convert(library.schema("one") + library.schema("two"))
    assert done.returncode == 0, done.stderr
    assert [*tomllib.loads(done.stdout)["projections"]] == ["one", "two"]
