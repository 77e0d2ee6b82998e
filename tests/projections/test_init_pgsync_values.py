"""`projection init --from-pgsync`: what a file says of fields and children, and what is refused of it.

What pgsync 7.3 makes of the same rows was read from pgsync 7.3 itself.
"""

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest

from processes import Cli

TABLES = """
CREATE TABLE maker (id int PRIMARY KEY, name text);
CREATE TABLE item (id int PRIMARY KEY, legacy_id int NOT NULL UNIQUE, maker_id int REFERENCES maker,
    seller_id int REFERENCES maker, code char(5), day date);
CREATE TABLE likes (item_id int REFERENCES item, by_item_id int REFERENCES item,
    maker_id int REFERENCES maker);
INSERT INTO maker VALUES (1, 'Reed'), (2, 'Sons');
INSERT INTO item (id, legacy_id, maker_id, seller_id) VALUES (1, 71, 1, 2), (2, 72, NULL, 1), (3, 73, 1, 1);
INSERT INTO likes VALUES (1, 2, 1), (3, 1, 2);
"""
Convert = Callable[..., CompletedProcess[str]]


@pytest.fixture
def tables(empty_url: str) -> Iterator[psycopg.Connection]:
    """A database with these tables, and without ours."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(TABLES)
        yield connection


@pytest.fixture
def convert(tables: psycopg.Connection, empty_url: str, cli: Cli, tmp_path: Path) -> Convert:
    """The conversion of one document, `nodes` with `more` beside it."""

    def run(nodes: Any, *, env: dict[str, str] | None = None, **more: Any) -> CompletedProcess[str]:
        file = tmp_path / "schema.json"
        document = {"database": tables.info.dbname, "index": "things", "nodes": nodes, **more}
        file.write_text(json.dumps([document]), encoding="utf-8")
        own = Cli(cli.env | {"DATABASE_URL": empty_url} | (env or {}), tmp_path)
        return own("projection", "init", "--from-pgsync", str(file))

    return run


def item(*columns: str, **more: Any) -> dict[str, Any]:
    """The root."""
    return {"table": "item", "columns": list(columns), **more}


def maker(*columns: str, column: str = "maker_id", **more: Any) -> dict[str, Any]:
    """A child."""
    relationship = {"type": "one_to_one", "variant": "object"} | more.pop("relationship", {})
    relationship.setdefault("foreign_key", {"child": ["id"], "parent": [column]})
    return {"table": "maker", "columns": list(columns), "relationship": relationship, **more}


def documents(tables: psycopg.Connection, done: CompletedProcess[str]) -> dict[int, Any]:
    """The rows of the query that was made, by the key."""
    query = made(done)["query"]
    rows = tables.execute(f"SELECT id, to_jsonb(q) FROM ({query}) q".encode())
    return {key: {name: each for name, each in row.items() if name != "id"} for key, row in rows.fetchall()}


def made(done: CompletedProcess[str]) -> dict[str, Any]:
    """The declaration."""
    assert done.returncode == 0, done.stderr
    (found,) = tomllib.loads(done.stdout)["projections"].values()
    return dict(found)


def refused(done: CompletedProcess[str]) -> list[str]:
    """The errors, a line each."""
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.splitlines()


def test_each_of_two_foreign_keys_of_a_table_between_is_chosen_by_name(
    tables: psycopg.Connection, convert: Convert
) -> None:
    tie: dict[str, Any] = {
        "type": "one_to_many",
        "variant": "scalar",
        "through_tables": ["likes"],
        "foreign_key": None,
    }
    said = refused(convert(item("id", children=[maker("name", relationship=tie)])))
    assert "2 foreign keys are between public.likes and public.item: " in said[0]
    for column, fans in (("item_id", [["Reed"], None, ["Sons"]]), ("by_item_id", [["Sons"], ["Reed"], None])):
        tie["foreign_key"] = {"child": [column], "parent": ["id"]}
        done = convert(item("id", children=[maker("name", relationship=tie)]))
        assert [each["maker"] for each in documents(tables, done).values()] == fans
    tie["foreign_key"] = {"child": ["maker_id"], "parent": ["name"]}
    said = refused(convert(item("id", children=[maker("name", relationship=tie)])))
    assert "nodes.children[1].relationship.foreign_key: no such foreign key is there" in said[0]


@pytest.mark.parametrize(
    ("transform", "held"),
    [
        ({"rename": {"id": "item_id", "legacy_id": "id"}}, "'legacy_id'"),
        ({"rename": {"id": "code", "code": "id"}}, "'code'"),
    ],
)
def test_another_field_does_not_take_the_name_of_the_key(
    transform: dict[str, Any], held: str, convert: Convert
) -> None:
    (said,) = refused(convert(item("id", "legacy_id", "code", transform=transform)))
    assert f"nodes.transform: 'id', a column of the key, would hold {held}" in said
    assert "give the other one another name" in said


def test_all_that_is_wrong_is_said_at_once_with_file_and_node(convert: Convert) -> None:
    said = refused(
        convert(
            item(
                *("id", "nam", "prize"),
                transform={"rename": {"code": "price", "nam": "name"}},
                children=[
                    maker("nme"),
                    {"table": "makers", "relationship": maker()["relationship"]},
                    maker("id", label="sold", column="sold_by"),
                ],
            ),
            routing="owner",
            mapping={"id": "long"},
        )
    )
    places = [line.partition("schema.json: ")[2].partition(": ")[0] for line in said]
    assert places == [
        *("nodes.columns", "nodes.columns", "nodes.children[1].columns", "nodes.children[2].table"),
        *("nodes.children[3].relationship.foreign_key", "mapping.properties", "routing"),
    ]
    assert all(line.startswith("outboxctl: ") for line in said)


def test_all_that_is_no_schema_file_is_said_at_once(convert: Convert) -> None:
    said = refused(
        convert(
            item(
                transform={"rename": {"id": 7}},
                children=[maker("name", relationship={"variant": "list"}), {"table": "maker"}],
            ),
            pipeline="$NO_SUCH_PIPELINE",
        )
    )
    places = [line.partition("schema.json: ")[2].partition(": ")[0] for line in said]
    assert sorted(places) == [
        *("nodes.children[1].relationship.variant", "nodes.children[2].relationship"),
        *("nodes.transform.rename.id", "pipeline"),
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"nodes": None}, "nodes: Field required"),
        ({"nodes": item("id", children=[maker("name", relationship={"type": ""})])}, "relationship.type"),
        ({"nodes": item("id", "code", transform={"rename": {"code": "id"}})}, "several fields would be 'id'"),
        ({"nodes": item("id", transform={"replace": {"code": {"a": "b"}}})}, "write it into the query"),
        (
            {"nodes": item("id", children=[maker("name", relationship={"through_tables": ["item"]})])},
            "no foreign keys are between",
        ),
        ({"nodes": item("id", children=[maker("name", label="id")])}, "'id' is the label of a child"),
        ({"nodes": item("id", children=[maker("name", label=" ")])}, "nodes.children[1].label: it is blank"),
        ({"nodes": item("id", children=[maker("name", label="a\0b")])}, "it holds a NUL or half a character"),
    ],
)
def test_what_no_document_can_be_is_refused(changed: dict[str, Any], said: str, convert: Convert) -> None:
    told = refused(convert(**changed))
    assert all("schema.json" in line for line in told)
    assert any(said in line for line in told), told


def test_one_of_several_children_is_the_first_by_its_key(
    tables: psycopg.Connection, convert: Convert
) -> None:
    tie = {
        "type": "one_to_one",
        "variant": "object",
        "foreign_key": {"child": ["maker_id"], "parent": ["id"]},
    }
    nodes = {"table": "maker", "columns": ["id"], "children": [item("legacy_id", relationship=tie)]}
    assert documents(tables, convert(nodes)) == {1: {"item": {"legacy_id": 71}}, 2: {"item": None}}


def test_a_child_is_renamed_by_the_node_above(tables: psycopg.Connection, convert: Convert) -> None:
    done = convert(item("id", transform={"rename": {"maker": "made_by"}}, children=[maker("name")]))
    assert documents(tables, done)[1] == {"made_by": {"name": "Reed"}}
    own = {"rename": {"name": "called"}}
    done = convert(
        item("id", transform={"rename": {"maker": "made_by"}}, children=[maker("name", transform=own)])
    )
    assert documents(tables, done)[1] == {"maker": {"called": "Reed"}}
    assert "Not taken over: nodes.transform.rename.maker: pgsync drops it" in done.stdout


def test_mapping_and_mappings_and_those_of_the_nodes_are_kept(convert: Convert) -> None:
    done = convert(
        item(
            "id",
            "code",
            "day",
            transform={"mapping": {"code": {"type": "keyword"}}},
            children=[maker("name")],
        ),
        mappings={"properties": {"maker": {"type": "nested"}, "day": {"type": "text"}}},
        mapping={"day": {"type": "keyword"}},
        setting={"number_of_shards": 2},
    )
    body = json.loads(made(done)["mapping"])
    fields = body["mappings"]["properties"]
    assert {name: each["type"] for name, each in fields.items()} == {
        **{"id": "integer", "code": "keyword", "day": "keyword", "maker": "nested"}
    }
    assert list(fields["maker"]["properties"]) == ["name"]
    assert body["settings"] == {"number_of_shards": 2}
    assert "dynamic" not in body["mappings"]


def test_dynamic_templates_apply_to_what_no_mapping_names(convert: Convert) -> None:
    templates = [{"texts": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}]
    body = json.loads(made(convert(item("id"), mapping={"dynamic_templates": templates}))["mapping"])
    assert body["mappings"]["dynamic"] is True
    assert body["mappings"]["dynamic_templates"] == templates
    given = {"dynamic_templates": templates, "dynamic": "strict", "properties": {"id": {"type": "keyword"}}}
    body = json.loads(made(convert(item("id"), mapping=given))["mapping"])
    assert body["mappings"] == given


def test_variables_are_those_of_the_environment(convert: Convert) -> None:
    texts = {"index": "${STAGE}-$KIND", "pipeline": "$PIPE", "routing": "$ROUTE"}
    env = {"STAGE": "dev", "KIND": "things", "PIPE": "embed", "ROUTE": "code"}
    found = made(convert(item("id", "code"), env=env, **texts))
    assert [found[name] for name in ("index", "pipeline", "routing")] == ["dev-things", "embed", "code"]
    (said,) = refused(convert(item("id", "code"), env=env, **texts | {"pipeline": "${GONE}"}))
    assert "pipeline: the environment has no variable GONE; export GONE=" in said


def test_the_table_beneath_a_view_is_found_by_its_key(tables: psycopg.Connection, convert: Convert) -> None:
    tables.execute(
        "CREATE VIEW made AS SELECT i.id, i.code, m.name FROM item i JOIN maker m ON m.id = maker_id"
    )
    tables.execute("ALTER TABLE item DROP seller_id")
    tables.execute("CREATE MATERIALIZED VIEW kept AS SELECT id, code FROM item")
    node = {
        "table": "made",
        "columns": ["id", "name"],
        "base_tables": ["item", "maker"],
        "primary_key": ["id"],
    }
    done = convert(node)
    assert made(done)["root"] == "public.made"
    assert documents(tables, done) == {1: {"name": "Reed"}, 3: {"name": "Reed"}}
    (said,) = refused(convert(node | {"primary_key": ["code"]}))
    assert "root: in public.made code is code of public.item, which is not unique there" in said
    (said,) = refused(convert(node | {"table": "kept"}))
    assert "nodes.table: public.kept is a materialized view" in said


def test_a_view_renames_the_key(tables: psycopg.Connection, convert: Convert) -> None:
    tables.execute("CREATE VIEW made AS SELECT legacy_id AS number, code FROM item")
    node = {"table": "made", "columns": ["code"], "base_tables": ["item"], "primary_key": ["number"]}
    assert made(convert(node))["key"] == "number"
    tables.execute("CREATE OR REPLACE VIEW made AS SELECT maker_id AS number, code FROM item")
    (said,) = refused(convert(node))
    assert "[projections.things] root: in public.made number is maker_id of public.item, which" in said
