"""What differs, what only looks as if it did, and what is too soon to say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from outboxctl.core.documents.entities import EntityStates, Key, SourceRow
from outboxctl.operations.verify.judge import differs, judge, same
from outboxctl.operations.verify.model import Difference, DifferenceKind, key_of
from outboxctl.sink.index.scanned import ScannedDocument

pytestmark = pytest.mark.no_servers
ID = "block:11111111-1111-1111-1111-111111111111"
BODY = {"text": "one", "rank": 1.5}


def row(version: int | None = 3, body: Any = BODY) -> SourceRow:
    return SourceRow(ID, version, json.dumps(body))


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
        (SourceRow(ID, 3, None), document(), None),
        (row(), ScannedDocument(ID, 3), None),
    ],
)
def test_kinds(left: SourceRow | None, right: ScannedDocument | None, kind: DifferenceKind | None) -> None:
    assert differs(left, right) is kind


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


STILL = EntityStates({ID: row()}, set())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (EntityStates({ID: row()}, {ID}), STILL),
        (STILL, EntityStates({ID: row()}, {ID})),
        (STILL, EntityStates({ID: row(4)}, set())),
        (STILL, EntityStates({ID: row(3, {"text": "other"})}, set())),
        (STILL, EntityStates({}, set())),
    ],
)
def test_what_moves_is_in_flight(before: EntityStates, after: EntityStates) -> None:
    found = judge(ID, before, document(1), after)
    assert found is not None
    assert found.in_flight


def test_what_is_still_differs_and_is_told_with_its_fence() -> None:
    assert judge(ID, STILL, document(1), STILL) == Difference(DifferenceKind.STALE, ID, 3, 1, False, 7, 1)
    assert judge(ID, STILL, document(), STILL) is None


@pytest.mark.parametrize(
    ("id_", "key"),
    [
        (ID, Key("block", ID[6:])),
        ("a:b:" + ID[6:], Key("a:b", ID[6:])),
        (":" + ID[6:], Key("", ID[6:])),
        (ID.upper(), Key("BLOCK", ID[6:])),
        (ID[6:], None),
        ("block:" + "A" * 8 + ID[14:], None),
        ("block:" + ID[6:].replace("-", ""), None),
        ("block:{" + ID[6:] + "}", None),
        ("", None),
        ("a\x00:" + ID[6:], None),
    ],
)
def test_only_ids_that_a_worker_would_write_name_an_entity(id_: str, key: Key | None) -> None:
    assert key_of(id_) == key


def test_an_entity_whose_type_is_too_long_for_an_event_is_no_target() -> None:
    assert Difference(DifferenceKind.EXTRA, "x" * 51 + ID[5:], None, 1).target is None
    assert Difference(DifferenceKind.EXTRA, ID, None, 1).target == Key("block", ID[6:])
