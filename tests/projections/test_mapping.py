"""The mapping of an index follows from the columns; what an index has otherwise is said before it hurts."""

from typing import Any

import pytest

from outboxctl.core.projections.fields import Field
from outboxctl.operations.projection.mapping import body, compare, unsearched

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


def test_json_is_kept_and_said_to_be_unsearched() -> None:
    columns = [column("a", "json"), column("b", "jsonb"), column("c", "text")]
    assert list(body(columns, {})["mappings"]["properties"]) == ["c"]
    assert unsearched(columns, body(columns, {})["mappings"]) == ["a", "b"]
    given = {"mappings": {"properties": {"a": {"type": "nested"}}}}
    assert unsearched(columns, body(columns, given)["mappings"]) == ["b"]
    assert unsearched(columns, body(columns, {"mappings": {"dynamic": True}})["mappings"]) == []


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
