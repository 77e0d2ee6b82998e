"""A pass over many documents: those that the index holds as they are have no event, all others have one."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.projections import follow_keys, in_force, unchanged
from outboxctl.core.projections.follow_pages import FollowEvent
from outboxctl.domain.projection import DOCUMENTS, EVERYTHING, Projection
from projections.test_places import put_in_force, settle_places

__all__ = ["put_in_force"]
EVENT = FollowEvent("1", "wares", EVERYTHING, "", {"index": None}, 0)
ROWS = "INSERT INTO wares.items SELECT n, concat('sku ', n), 1 FROM generate_series(1, 20) n"
OTHER = "UPDATE wares.items SET price = 2 WHERE id IN (7, 16)"
ALL = [str(n) for n in range(1, 21)]
REBUILD = """
INSERT INTO outbox_rebuilds (action, alias, new_index, concrete, body, phase, operator, reason, grace_seconds)
VALUES ('rebuild', 'wares', 'wares-2', false, '{}', 'fill', 'alice', 'test', 1)
"""
TWICE = """
CREATE OR REPLACE VIEW wares.documents AS SELECT id, sku, price FROM wares.items
UNION ALL SELECT id, sku, price FROM wares.items WHERE id = 3
"""
RAISES = """
CREATE OR REPLACE VIEW wares.documents AS SELECT id, sku, price / (id - 3) AS price
FROM wares.items
"""
OPENED = "UPDATE outbox_places SET content = NULL WHERE entity_key IN ('2', '20')"
SWAPPED = """
UPDATE wares.items i SET sku = o.sku FROM wares.items o WHERE (i.id, o.id) IN ((5, 6), (6, 5))
"""
NOT_IN_FORCE = "UPDATE outbox_projections SET definition = definition || '{\"skip_unchanged\": false}'"


@pytest.fixture
def wares(db: Database, sql: psycopg.Connection, put_in_force: Callable[..., Projection]) -> Projection:
    """Twenty documents, which the index has confirmed."""
    put_in_force(skip_unchanged=True)
    sql.execute(ROWS)
    with db.begin() as connection:
        [projection] = in_force.Kept().read(connection)
    source = DocumentSource(projection, holds="an index")
    settle_places(db, source.latest(db, ALL, seconds=30, max_bytes=None))
    return projection


def found(db: Database, projection: Projection, **more: Any) -> follow_keys.KeysAhead:
    """What the event has events for."""
    given = {"event": EVENT, "size": 50, "seconds": 5.0, "holds": "an index", **more}
    with db.begin() as connection:
        return follow_keys.read(connection, projection, **given)


@pytest.mark.parametrize(
    ("change", "more", "keys"),
    [
        ("SELECT", {}, []),
        (OTHER, {}, ["7", "16"]),
        (OPENED, {}, ["2", "20"]),
        (SWAPPED, {}, ["5", "6"]),
        ("INSERT INTO wares.items VALUES (21, 'new', 1)", {}, ["21"]),
        (TWICE, {}, ["3"]),
        ("SELECT", {"holds": "a new index"}, ALL),
        ("SELECT", {"holds": ""}, ALL),
        (REBUILD, {}, ALL),
        (NOT_IN_FORCE, {}, ALL),
        ("UPDATE outbox_version_base SET base = base + 1", {}, ALL),
    ],
)
def test_only_what_the_index_does_not_hold_has_an_event(
    db: Database,
    sql: psycopg.Connection,
    wares: Projection,
    change: str,
    more: dict[str, Any],
    keys: list[str],
) -> None:
    sql.execute(change.encode())
    ahead = found(db, wares, **more)
    assert (ahead.keys, ahead.more) == (keys, False)
    assert ahead.unchanged == (20 if keys == ["21"] else 20 - len(keys))


def test_a_pass_goes_on_behind_what_it_looked_at(
    db: Database, sql: psycopg.Connection, wares: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "LOOKED", 6)
    sql.execute(OTHER)
    assert found(db, wares).keys == ["7", "16"]
    looked = list[follow_keys.KeysAhead]()
    cursor: dict[str, Any] = {"index": None}
    # The time is over after the first statement.
    monkeypatch.setattr(unchanged, "monotonic", partial(next, count(0, 100)))
    while not looked or looked[-1].more:
        event = FollowEvent("1", "wares", EVERYTHING, "", cursor, 0)
        looked.append(found(db, wares, event=event))
        cursor = {"index": None, "after": looked[-1].last}
    assert [each.last for each in looked] == ["6", "12", "18", "20"]
    assert [each.keys for each in looked] == [[], ["7"], ["16"], []]


def test_a_row_that_raises_and_a_key_that_is_none_leave_the_others_to_the_lanes(
    db: Database, sql: psycopg.Connection, wares: Projection
) -> None:
    named = FollowEvent("1", "wares", DOCUMENTS, '["1", "2", "no number"]', {}, 0)
    assert found(db, wares, event=named).keys == ["1", "2", "no number"]
    assert found(db, wares, event=FollowEvent("1", "wares", DOCUMENTS, '["1", "2"]', {}, 0)).keys == []
    sql.execute(RAISES)
    assert found(db, wares).keys == ALL
