"""What differs at the second reading, and what is too soon to say: on its way, or changed meanwhile."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Raw

from outboxctl.core.documents.source import SourceRow, States
from outboxctl.core.documents.table import TableSource
from outboxctl.operations.verify.model import Difference, DifferenceKind
from outboxctl.operations.verify.review import Review
from outboxctl.sink.index.scanned import ScannedDocument

pytestmark = pytest.mark.no_servers
ID = "block:11111111-1111-1111-1111-111111111111"


def row(version: int = 3, text: str = "one") -> SourceRow:
    return SourceRow(ID, json.dumps({"text": text}), version)


def document(version: int = 1) -> ScannedDocument:
    return ScannedDocument(ID, version, Raw(b'{"text": "one"}'), 7, 1)


class Told(TableSource):
    """A source that has one state after the other; the last one stays."""

    def __init__(self, *states: States) -> None:
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
    return list(Review(nothing, reader, source, content=True).of([ID]))


STILL = state(row())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (state(row(), flying=True), STILL),
        (STILL, state(row(), flying=True)),
        (STILL, state(row(4))),
        (STILL, state(row(3, "other"))),
        (STILL, state()),
    ],
)
def test_what_moves_is_in_flight(before: States, after: States) -> None:
    (found,) = reviewed(Told(before, after), Index(document()))
    assert found.in_flight


def test_a_row_that_was_changed_and_changed_back_is_in_flight_by_its_document() -> None:
    (found,) = reviewed(Told(STILL), Index(document(), document(3)))
    assert found.in_flight


def test_what_is_still_differs_and_is_told_with_its_fence() -> None:
    (found,) = reviewed(Told(STILL), Index(document()))
    assert found == Difference(DifferenceKind.STALE, ID, 3, 1, False, 7, 1, key=ID)
    assert reviewed(Told(STILL), Index(document(3))) == []
