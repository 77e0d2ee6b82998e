"""The mapping of an index follows from the columns; what an index has otherwise is said before it hurts."""

from typing import Any

import pytest

from outboxctl.core.projections.fields import Field
from outboxctl.operations.projection.mapping import body, compare, declared

pytestmark = pytest.mark.no_servers


def column(name: str, kind: str, *, listed: bool = False) -> Field:
    return Field(name, f"pg_catalog.{kind}", kind, not_null=False, deterministic=True, listed=listed)


KINDS = {
    "uuid": "keyword",
    "enum": "keyword",
    "text": "text",
    "varchar": "text",
    "int2": "integer",
    "int8": "long",
    "numeric": "double",
    "bool": "boolean",
    "timestamptz": "date",
    "inet": "keyword",
    "tsrange": "keyword",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("listed", [False, True])
def test_each_type(kind: str, listed: bool) -> None:
    mapped = body([column("a", kind, listed=listed)], {})["mappings"]
    assert mapped["dynamic"] is False
    assert mapped["properties"]["a"]["type"] == KINDS[kind]


LONG: dict[str, Any] = {"type": "long"}
OBJECT = {"a": {"properties": {"b": LONG, "c": LONG}}}
GIVEN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, OBJECT["a"]),
    ({"properties": {"b": {"type": "text"}}}, {"properties": {"b": {"type": "text"}, "c": LONG}}),
    ({"type": "nested"}, {"type": "nested", **OBJECT["a"]}),
    *(
        (closed, closed)
        for closed in ({"type": "flattened"}, {"dynamic": "true"}, {"type": "object", "enabled": "false"})
    ),
]


@pytest.mark.parametrize(("given", "wanted"), GIVEN)
def test_the_file_wins_field_by_field_in_objects(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    file = {"mappings": {"properties": {"a": given} if given else {}}}
    made = body([column("a", "jsonb"), column("d", "json")], file, OBJECT)["mappings"]
    assert made["properties"] == {"a": wanted}
    everything = body([column("a", "json")], {"mappings": {"dynamic": True}}, OBJECT)["mappings"]
    assert everything["properties"] == {}


@pytest.mark.parametrize(
    ("path", "given", "said"),
    [
        ("d", {}, False),
        ("d", {"properties": {"d": {"type": "nested"}}}, True),
        ("d.e", {"properties": {"d": {"properties": {"f": LONG}}}}, False),
        ("d.e", {"properties": {"d": {"type": "flattened"}}}, True),
        ("d.e", {"properties": {"d": {"dynamic": "true"}}}, True),
        ("d.e", {"dynamic": True}, True),
    ],
)
def test_a_field_that_no_search_finds_is_said_unless_the_file_names_it(
    path: str, given: dict[str, Any], said: bool
) -> None:
    assert declared(path.split("."), given) is said


def test_the_file_wins_and_its_settings_may_be_nested() -> None:
    given = {
        "settings": {"index": {"number_of_shards": 3}},
        "mappings": {"properties": {"a": {"type": "date"}}},
    }
    made = body([column("a", "text"), column("b", "text")], given)
    assert made["settings"]["index.number_of_shards"] == 3
    assert "number_of_shards" not in made["settings"]
    assert made["settings"]["index.gc_deletes"] == "1h"
    assert [each["type"] for each in made["mappings"]["properties"].values()] == ["date", "text"]


TEXT = {"type": "text"}
VECTOR: dict[str, Any] = {"type": "dense_vector", "dims": 3}
HNSW = {"type": "hnsw", "m": 16}
CASES: list[tuple[dict[str, Any], dict[str, Any], list[str], list[str]]] = [
    ({"a": TEXT}, {"a": TEXT}, [], []),
    ({"a": TEXT}, {}, ["a"], []),
    ({"a": TEXT}, {"a": {"type": "keyword"}}, [], ["a is keyword in the index, not text"]),
    ({"a": TEXT | {"index": True}}, {"a": TEXT}, [], []),
    ({"a": TEXT | {"index": False}}, {"a": TEXT}, [], ["index of a is True in the index, not False"]),
    (
        {"a": TEXT | {"analyzer": "english"}},
        {"a": TEXT},
        [],
        ["analyzer of a is standard in the index, not english"],
    ),
    ({"a": {"type": "keyword", "ignore_above": 9}}, {"a": {"type": "keyword"}}, ["a"], []),
    ({"a": TEXT | {"fields": {"k": {"type": "keyword"}}}}, {"a": TEXT}, ["a"], []),
    (
        {"a": TEXT | {"fields": {"k": {"type": "keyword"}}}},
        {"a": TEXT | {"fields": {"k": {"type": "long"}}}},
        [],
        ["a.k is long in the index, not keyword"],
    ),
    ({"a": {"properties": {"b": TEXT}}}, {"a": {"properties": {"c": TEXT}}}, ["a"], []),
    ({"a": VECTOR | {"index_options": {"type": "hnsw"}}}, {"a": VECTOR | {"index_options": HNSW}}, [], []),
    (
        {"a": VECTOR | {"index_options": {"m": 8}}},
        {"a": VECTOR | {"index_options": HNSW}},
        [],
        ["index_options of a is {'type': 'hnsw', 'm': 16} in the index, not {'m': 8}"],
    ),
    ({"a": {"type": "nested"}}, {"a": {"properties": {}}}, [], ["a is object in the index, not nested"]),
    (
        {"a": {"properties": {"b": TEXT}}},
        {"a": {"properties": {"b": {"type": "date"}}}},
        [],
        ["a.b is date in the index, not text"],
    ),
]


@pytest.mark.parametrize(("wanted", "there", "lacking", "rebuild"), CASES)
def test_what_is_added_in_place_and_what_needs_a_rebuild(
    wanted: dict[str, Any], there: dict[str, Any], lacking: list[str], rebuild: list[str]
) -> None:
    found = compare({"properties": wanted}, {"properties": there})
    assert (list(found.lacking), list(found.rebuild)) == (lacking, rebuild)


def test_only_what_is_missing_is_put_beneath_an_object() -> None:
    there = {"properties": {"a": {"type": "nested", "properties": {"b": TEXT}}}}
    wanted = {"properties": {"a": {"type": "nested", "properties": {"b": TEXT, "c": TEXT}}}}
    assert compare(wanted, there).lacking == {"a": {"type": "nested", "properties": {"c": TEXT}}}
