"""What differs, what only looks as if it did, and what is too soon to say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from outboxctl.core.documents.source import SourceRow
from outboxctl.core.documents.table import TableSource, is_entity
from outboxctl.operations.verify.judge import differs, same
from outboxctl.operations.verify.model import DifferenceKind
from outboxctl.sink.index.scanned import ScannedDocument

pytestmark = pytest.mark.no_servers
ID = "block:11111111-1111-1111-1111-111111111111"
BODY = {"text": "one", "rank": 1.5}


def row(version: int | None = 3, body: Any = BODY) -> SourceRow:
    return SourceRow(ID, json.dumps(body), version)


def document(version: int = 3, body: Any = BODY) -> ScannedDocument:
    return ScannedDocument(ID, version, Raw(json.dumps(body).encode()), 7, 1)


@pytest.mark.parametrize(
    ("left", "right", "kind"),
    [
        (row(), document(), None),
        (None, None, None),
        (row(), None, DifferenceKind.MISSING),
        (None, document(), DifferenceKind.EXTRA),
        (row(), document(2), DifferenceKind.STALE),
        (row(), document(4), DifferenceKind.AHEAD),
        (row(), document(body={"text": "two", "rank": 1.5}), DifferenceKind.ALTERED),
        (row(None), document(), DifferenceKind.STALE),
        (SourceRow(ID, error="division by zero"), document(), DifferenceKind.UNREADABLE),
        (row(), ScannedDocument(ID, 3), None),
    ],
)
def test_kinds(left: SourceRow | None, right: ScannedDocument | None, kind: DifferenceKind | None) -> None:
    assert differs(left, right, TableSource()) is kind


@pytest.mark.parametrize(
    ("document", "text", "alike"),
    [
        ({"a": 1, "b": [None]}, '{"b": [null], "a": 1}', True),
        ({"a": 1.0}, '{"a":1}', True),
        ({"a": True}, '{"a":1}', False),
        ({"a": [0]}, '{"a":[false]}', False),
        ({"a": 2**63 - 1}, '{"a":9223372036854775806}', False),
        ({"a": None}, "{}", False),
        ({}, '{"a":null}', False),
        ({"a": [1, 2]}, '{"a":[2,1]}', False),
        ({"a": "\x00\ud800"}, '{"a":"\\u0000\\ud800"}', True),
    ],
)
def test_the_order_of_keys_is_no_content_but_every_value_is(document: Any, text: str, alike: bool) -> None:
    assert same(json.dumps(document).encode(), text) is alike


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON, JSON)
def test_sameness_is_that_of_json(left: Any, right: Any) -> None:
    body = json.dumps(left, indent=1).encode()
    assert same(body, json.dumps(left))
    canonical = [json.dumps(each, sort_keys=True) for each in (left, right)]
    if canonical[0] == canonical[1]:
        assert same(body, json.dumps(right))


@pytest.mark.parametrize(
    ("id_", "is_one"),
    [
        (ID, True),
        ("a:b:" + ID[6:], True),
        (":" + ID[6:], True),
        (ID.upper(), True),
        (ID[6:], False),
        ("block:" + "A" * 8 + ID[14:], False),
        ("block:" + ID[6:].replace("-", ""), False),
        ("block:{" + ID[6:] + "}", False),
        ("", False),
        ("a\x00:" + ID[6:], False),
    ],
)
def test_only_ids_that_a_worker_would_write_name_an_entity(id_: str, is_one: bool) -> None:
    assert is_entity(id_) is is_one


def test_an_entity_whose_type_is_too_long_for_an_event_is_no_target() -> None:
    assert not TableSource().nameable("x" * 51 + ID[5:])
    assert TableSource().nameable(ID)
