"""Prefixes of ids that could meet, or that no engine takes, are refused; so are fields of two kinds."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.domain.errors import UsageError
from outboxctl.operations.projection.declaration import read
from outboxctl.operations.projection.plan import plan
from outboxctl.operations.projection.resolved import Planned
from processes import Cli
from projections import mall
from projections.store import WHO

ONE = """
[projections.{name}]
root = "mall.products"
key = "id"
document = "mall.product_documents"
index = "{index}"
"""


def text(name: str, prefix: str | None, index: str = "mall") -> str:
    """A declaration with this prefix."""
    return ONE.format(name=name, index=index) + ("" if prefix is None else f"id_prefix = {prefix}\n")


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("prefix", "why"),
    [
        ('""', "it is blank"),
        ('" "', "it is blank"),
        ("7", "it must be a text, not 7"),
        (r'"a\nb"', "control characters"),
        (r'"a\u0000"', "control characters"),
        (r'"\u202eproduct:"', "control characters"),
        (f'"{"p" * 101}"', "more than 100 bytes"),
        (f'"{"é" * 51}"', "more than 100 bytes"),
        ('"sha256:"', "begins as the ids of long keys do"),
    ],
)
def test_a_prefix_that_is_none_is_refused_with_its_place(tmp_path: Path, prefix: str, why: str) -> None:
    file = tmp_path / "mall.toml"
    file.write_text(text("product", prefix))
    with pytest.raises(UsageError, match=why) as raised:
        read(file)
    assert "[projections.product] id_prefix: " in str(raised.value)


Look = Callable[[str], list[Planned]]


@pytest.fixture
def look(db: Database, sql: psycopg.Connection, tmp_path: Path) -> Look:
    """What `plan` finds of a file, with `builtin` as the index of search_index."""
    sql.execute(mall.TABLES)

    def found(declared: str) -> list[Planned]:
        file = tmp_path / "mall.toml"
        file.write_text(declared)
        with db.begin() as connection:
            return plan(connection, None, read(file), built_in="builtin")

    return found


MEETING = [(None, None), ("a:", None), (None, "a:"), ("a:", "a:"), ("a:", "a:b:"), ("a:b", "a:")]


@pytest.mark.parametrize("in_force", [False, True])
@pytest.mark.parametrize(("one", "other"), MEETING)
def test_ids_that_could_meet_are_refused(
    look: Look, cli: Cli, tmp_path: Path, one: str | None, other: str | None, in_force: bool
) -> None:
    first, second = (
        text(name, prefix and json.dumps(prefix)) for name, prefix in (("one", one), ("two", other))
    )
    if in_force:
        file = tmp_path / "first.toml"
        file.write_text(first)
        cli.ok("projection", "apply", str(file), *WHO)
        first = ""
    with pytest.raises(
        UsageError, match=r"\[projections.two\] index: .?mall.? is the index of one already"
    ) as no:
        look(first + second)
    assert "`id_prefix`" in no.value.hint


def test_the_index_of_search_index_is_shared_with_none(look: Look) -> None:
    with pytest.raises(UsageError, match="is the index of the built-in projection"):
        look(text("product", '"product:"', "builtin"))


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ({"price": {"type": "keyword"}}, {}, "price is keyword, and double"),
        ({"kind": mall.KEYWORD}, {"kind": mall.OBJECT}, "kind is keyword, and object"),
        ({"k": mall.OBJECT}, {"k": {"properties": {"name": {"type": "long"}}}}, "k.properties.name is"),
        ({"name": {"type": "text", "analyzer": "simple"}}, {}, ""),
        ({"type": mall.KEYWORD}, {"properties": mall.OBJECT}, ""),
        (
            {"kind": mall.OBJECT},
            {"kind": {"properties": {**mall.OBJECT["properties"], "more": mall.KEYWORD}}},
            "",
        ),
    ],
)
def test_a_field_is_one_thing_in_both(
    look: Look, one: dict[str, object], other: dict[str, object], why: str
) -> None:
    both = [
        text(name, f'"{name}:"') + f"mapping = '{json.dumps({'mappings': {'properties': fields}})}'\n"
        for name, fields in (("one", one), ("two", other))
    ]
    if why:
        with pytest.raises(UsageError, match=why) as no:
            look("".join(both))
        assert "[projections.one] mapping: " in str(no.value)
        assert "[projections.two], which has the same index" in str(no.value)
        return
    planned = look("".join(both))
    assert [each.shares for each in planned] == [["two"], ["one"]]
    for before, after in pairwise(each.whole for each in planned):
        assert before == after
        assert {*one, *other, "id", "price"} <= before["mappings"]["properties"].keys()
