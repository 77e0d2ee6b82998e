"""`projection init --from-pgsync`: what is converted, what becomes a comment, and what is refused."""

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
from projections.pgsync_shapes import SHAPES, Shape
from projections.store import WHO
from shop import held

TABLES = """
CREATE TABLE maker (id int PRIMARY KEY, name text);
CREATE TABLE item (id int PRIMARY KEY, code char(5), doc jsonb, maker_id int REFERENCES maker,
    seller_id int REFERENCES maker);
CREATE TABLE likes (item_id int REFERENCES item, by_item_id int REFERENCES item,
    maker_id int REFERENCES maker);
CREATE TABLE bare (code text);
CREATE TABLE tag (id int PRIMARY KEY);
CREATE TABLE item_tag (item_id int REFERENCES item, tag_id int REFERENCES tag);
CREATE VIEW made AS SELECT id, code FROM item;
INSERT INTO maker VALUES (1, 'Reed'), (2, 'Sons');
INSERT INTO item VALUES (1, 'a', '{"x": 7}', 1, 2), (2, 'b', NULL, NULL, 1), (3, 'c', NULL, 1, 1);
INSERT INTO likes VALUES (1, 2, 1), (3, 1, 2);
"""
NO_SUCH_KEY = {"through_tables": ["item_tag"], "foreign_key": {"child": ["id"], "parent": ["maker_id"]}}
Convert = Callable[..., CompletedProcess[str]]


@pytest.fixture
def convert(empty_url: str, cli: Cli, tmp_path: Path) -> Convert:
    """The conversion of one document in a database without our tables, `nodes` with `more` beside it."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(TABLES)
    own = Cli(cli.env | {"DATABASE_URL": empty_url}, tmp_path)

    def run(nodes: Any, **more: Any) -> CompletedProcess[str]:
        content = json.dumps([{"database": "shop", "index": "things", "nodes": nodes, **more}])
        (tmp_path / "schema.json").write_text(content, encoding="utf-8")
        return own("projection", "init", "--from-pgsync", str(tmp_path / "schema.json"))

    return run


def item(*columns: str, **more: Any) -> dict[str, Any]:
    """The root."""
    return {"table": "item", "columns": list(columns), **more}


def maker(*columns: str, **more: Any) -> dict[str, Any]:
    """A child; `tie` changes its relationship."""
    key = {"child": ["id"], "parent": ["maker_id"]}
    tie = {"type": "one_to_one", "variant": "object", "foreign_key": key} | more.pop("tie", {})
    return {"table": "maker", "columns": list(columns), "relationship": tie, **more}


def made(done: CompletedProcess[str]) -> dict[str, Any]:
    """The declaration."""
    assert done.returncode == 0, done.stderr
    (found,) = tomllib.loads(done.stdout)["projections"].values()
    return dict(found)


def documents(url: str, done: CompletedProcess[str]) -> dict[int, Any]:
    """The rows of the query that was made, by the key."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(f"SELECT id, to_jsonb(q) - 'id' FROM ({made(done)['query']}) q".encode())
        return dict(rows.fetchall())


def test_documents_are_what_the_file_says_through_changes_of_every_table(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, tmp_path: Path
) -> None:
    for shape in SHAPES:
        sql.execute(shape.tables.encode())
        sql.execute(shape.rows.encode())
    odd = {"rename": {"id": "50% off: '''\x7f", "it": ":id; -- $1"}}
    schema = [{"index": f"{index}-{each.name}", "nodes": each.nodes | {"transform": odd}} for each in SHAPES]
    (tmp_path / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    printed = cli.ok("projection", "init", "--from-pgsync", str(tmp_path / "schema.json"))
    (tmp_path / "made.toml").write_text(printed, encoding="utf-8")
    cli.ok("projection", "apply", str(tmp_path / "made.toml"), *WHO)
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


def test_what_is_not_converted_is_a_comment_where_it_belongs(convert: Convert, empty_url: str) -> None:
    done = convert(
        item(
            *("code", "doc->x"),
            transform={"rename": {"code": "sku"}},
            children=[
                maker("name", base_tables=["m"], transform={"concat": {"columns": ["id"]}}),
                maker("name", "id", label="seller", tie={"variant": "scalar"}),
            ],
        ),
        index="${STAGE}-items",
        plugins=["Embed"],
        mapping={"code": {"type": "keyword"}},
        routing="code",
        setting=None,
    )
    found = made(done)
    assert documents(empty_url, done)[1] == {"code": "a    ", "maker": {"name": "Reed"}, "seller": "Reed"}
    assert found["index"] == "item"
    assert [line for line in done.stdout.splitlines() if line.startswith("# Not")] == [
        '# Not converted: database "shop"',
        '# Not converted: plugins ["Embed"]',
        '# Not converted: mapping {"code": {"type": "keyword"}}',
        '# Not converted: routing "code"',
        '# Not converted: index "${STAGE}-items"',
    ]
    assert found["query"].strip() == QUERY.strip()


QUERY = """
SELECT
    -- Not converted: nodes.transform {"rename": {"code": "sku"}}
    -- Added: id, a column of the key
    -- Not converted: nodes.columns doc->x
    item.id,
    item.code,
    (
        -- Not converted: nodes.children[1].base_tables ["m"]
        -- Not converted: nodes.children[1].transform {"concat": {"columns": ["id"]}}
        SELECT json_build_object('name', maker.name)
        FROM public.maker
        WHERE maker.id = item.maker_id) AS maker,
    (
        -- Not converted: nodes.children[2], a scalar: id
        SELECT maker_2.name
        FROM public.maker maker_2
        WHERE maker_2.id = item.maker_id) AS seller
FROM public.item
"""


def test_each_of_two_foreign_keys_of_a_link_table_is_chosen_by_name(convert: Convert, empty_url: str) -> None:
    tie: dict[str, Any] = {"type": "one_to_many", "variant": "scalar", "through_tables": ["likes"]}
    done = convert(item("id", children=[maker("name", tie=tie | {"foreign_key": None})]))
    assert "2 foreign keys are between public.likes and public.item: " in refused(done)
    for column, fans in (("item_id", [["Reed"], None, ["Sons"]]), ("by_item_id", [["Sons"], ["Reed"], None])):
        named = tie | {"foreign_key": {"child": [column], "parent": ["id"]}}
        done = convert(item("id", children=[maker("name", tie=named)]))
        assert [each["maker"] for each in documents(empty_url, done).values()] == fans
    named = tie | {"foreign_key": {"child": ["maker_id"], "parent": ["id"]}}
    assert "2 foreign keys are between" in refused(convert(item("id", children=[maker("name", tie=named)])))


def test_one_of_several_children_is_the_first_by_its_key(convert: Convert, empty_url: str) -> None:
    key = {"child": ["maker_id"], "parent": ["id"]}
    tie = {"type": "one_to_one", "variant": "object", "foreign_key": key}
    nodes = {"table": "maker", "columns": ["id"], "children": [item("code", relationship=tie)]}
    assert documents(empty_url, convert(nodes)) == {1: {"item": {"code": "a    "}}, 2: {"item": None}}


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (None, "schema.json: `nodes` is missing"),
        ([], "schema.json: `nodes` is missing"),
        ("item", "schema.json: nodes: it must be an object"),
        ({"columns": ["id"]}, "nodes: `table` is missing"),
        (item("id", "cod"), "nodes.columns: public.item has no column 'cod'; did you mean code?"),
        ({"table": "itm"}, "nodes.table: there is no table public.itm"),
        ({"table": "made", "primary_key": ["id"]}, "nodes.table: public.made is a view"),
        ({"table": "bare"}, "nodes: public.bare has no primary key"),
        (item("id", children=["maker"]), "nodes.children[1]: it must be an object"),
        (item("id", children=[{"table": "maker"}]), "nodes.children[1]: `relationship` is missing"),
        (item(children=[maker("name", tie={"type": "many"})]), "relationship.type: 'many' is unknown"),
        (item(children=[maker("name", tie={"variant": "list"})]), "relationship.variant: 'list' is unknown"),
        (item(children=[maker("name", tie={"foreign_key": {"child": ["id"]}})]), "as many columns each"),
        (item(children=[maker("name", tie={"foreign_key": None})]), "name the columns"),
        (
            item(children=[maker(tie={"foreign_key": {"child": ["id"], "parent": ["sold_by"]}})]),
            "children[1].relationship.foreign_key: public.item has no column 'sold_by'",
        ),
        (item(children=[{**maker(tie=NO_SUCH_KEY), "table": "tag"}]), "there is no such foreign key"),
        (item("id", children=[maker("name", label="id")]), "the node above has another field 'id'"),
        (item("id", children=[maker("name", label="a\0b")]), "it holds a NUL or half a character"),
    ],
)
def test_what_is_no_schema_file_is_refused_with_the_place(nodes: Any, said: str, convert: Convert) -> None:
    assert said in refused(convert(nodes))


def refused(done: CompletedProcess[str]) -> str:
    """The error in one line."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "schema.json" in done.stderr
    return " ".join(done.stderr.split())
