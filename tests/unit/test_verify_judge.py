"""What differs, at the second reading too, what only looks as if it did, and what is too soon to say."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from outboxctl.core.documents.rows import SourceRow, States
from outboxctl.core.documents.table import TableSource, is_entity
from outboxctl.domain import json_numbers
from outboxctl.operations.verify.compare import review
from outboxctl.operations.verify.judge import differs, same
from outboxctl.operations.verify.model import Difference, DifferenceKind, Sides
from outboxctl.sink.index.scanned import ScannedDocument, search_page

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
        (row(), document(body={"text": "two", "rank": 1.5}), DifferenceKind.DIFFERENT),
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


class Told(TableSource):
    """A source that has one state after the other; the last one stays."""

    def __init__(self, *states: States) -> None:
        super().__init__()
        self._told = list(states)

    def states(self, *_: Any, **__: Any) -> States:
        """The next one."""
        return self._told.pop(0) if len(self._told) > 1 else self._told[0]


class Index:
    """An index that has one document after the other; the last one stays."""

    def __init__(self, *documents: ScannedDocument | None) -> None:
        self._documents = list(documents)

    def get(self, ids: Sequence[str], **_: Any) -> list[ScannedDocument | None]:
        """The next one."""
        found = self._documents.pop(0) if len(self._documents) > 1 else self._documents[0]
        return [found] * len(ids)


def state(now: SourceRow | None = None, *, flying: bool = False) -> States:
    return States({ID: ID}, {ID: now} if now else {}, {ID} if flying else set())


def reviewed(source: Told, index: Index) -> list[Difference]:
    nothing: Any = None
    reader: Any = index
    return list(review(Sides(nothing, reader, source), [ID]))


STILL = state(row())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (state(row(), flying=True), STILL),
        (STILL, state(row(), flying=True)),
        (STILL, state(row(4))),
        (STILL, state(row(3, {"text": "other"}))),
        (STILL, state()),
    ],
)
def test_what_moves_is_in_flight(before: States, after: States) -> None:
    (found,) = reviewed(Told(before, after), Index(document(1)))
    assert found.in_flight


def test_a_row_that_was_changed_and_changed_back_is_in_flight_by_its_document() -> None:
    (found,) = reviewed(Told(STILL), Index(document(1), document(3)))
    assert found.in_flight


def test_what_is_still_differs_and_is_told_with_its_fence() -> None:
    (found,) = reviewed(Told(STILL), Index(document(1)))
    assert found == Difference(DifferenceKind.STALE, ID, 3, 1, False, 7, 1, key=ID)
    assert reviewed(Told(STILL), Index(document(3))) == []


LONG = "9" * 5_000  # more digits than Python makes an integer of


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("1.000000000000000001", "1.000000000000000002", False),
        ("12345678901234567890.1", "12345678901234567890.2", False),
        ("0.1", "0.1000000000000000055511151231257827", False),
        ("1.10", "1.1", True),
        ("1e2", "100", True),
        ("100.0", "1E+2", True),
        ("-0", "0", True),
        ("1e400", "1e401", False),
        ("1e999999999999999999999", "1e999999999999999999998", False),
        (LONG, f"{LONG}.0", True),
        (LONG, f"{LONG[:-1]}8", False),
        ("1", "true", False),
        ("1.0", '"1.0"', False),
    ],
)
def test_equality_is_that_of_the_numbers(one: str, other: str, alike: bool) -> None:
    pattern = '{{"a": {}, "b": [{{"c": {}}}]}}'
    assert same(pattern.format(1, one).encode(), pattern.format("1 ", other)) is alike


@pytest.mark.parametrize("text", ["1.10", "1E+2", "-0", "0.000000001", "12345678901234567890.12345", "7"])
def test_numbers_are_written_as_they_were_read(text: str) -> None:
    value = json_numbers.loads(f'{{"a": [{text}, "{text}", true]}}')
    assert json_numbers.dumps(value) == f'{{"a": [{text}, "{text}", true]}}'
    assert json_numbers.dumps(value, indent=1).count(text) == 2


def test_a_body_that_only_python_reads_keeps_its_numbers() -> None:
    half, number = '"\\ud800"', "1.000000000000000001"
    answer = f'{{"hits": {{"hits": [{{"_id": "1", "_source": {{"a": {number}, "b": {half}}}}}]}}}}'
    (document,) = search_page(answer.encode()).documents
    assert json.loads(bytes(document.source))["b"] == "\ud800"
    assert number.encode() in bytes(document.source)
    assert isinstance(document.source, Raw)
