"""Events of one key in one delivery share the document of one read, and its version."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

import shop
from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.projections import documents
from outboxctl.core.projections.documents import Documents
from outboxctl.core.sql import Connection
from outboxctl.domain.clock import Deadline
from outboxctl.domain.projection import Projection
from outboxctl.worker.lane.prepare import prepare
from outboxctl.worker.projections.reading import Reading

GONE = "DELETE FROM shop.products WHERE id <> 2"


def event(number: int, key: str) -> Claimed:
    return Claimed(f"00000000-0000-0000-0000-{number:012}", key, "upsert", None, 1)


@pytest.fixture
def projection(sql: psycopg.Connection, db: Database) -> Projection:
    """Products of which 2 cannot be read: a batch with it is read by halves."""
    sql.execute(shop.SCHEMA)
    sql.execute("INSERT INTO shop.products SELECT n, 'first', 1, n % 2 FROM generate_series(1, 4) n")
    return shop.put_in_force(db, shop.product("products", routing="name"))


@pytest.mark.parametrize("change", ["UPDATE shop.products SET name = 'read ' || divisor", GONE])
def test_a_document_that_changes_between_two_halves_is_never_sent_with_a_later_version(
    projection: Projection,
    db: Database,
    sql: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    """Another lane may have delivered the change meanwhile, at a version between both."""
    seen: dict[int, dict[str, Any]] = {}
    as_before = documents.read

    def read(connection: Connection, projection: Projection, keys: Sequence[str], **more: Any) -> Documents:
        found = as_before(connection, projection, keys, **more)
        assert found.version is not None
        seen.setdefault(found.version, {}).update(
            zip(keys, zip(found.texts, found.routings, strict=True), strict=True)
        )
        sql.execute(change.encode())
        return found

    monkeypatch.setattr(documents, "read", read)
    events = [event(n, key) for n, key in enumerate(["1", "3", "1", "2", "3", "1"])]
    done = Reading(DocumentSource(projection), db, deadline=Deadline.within(30), max_bytes=10**9).run(events)
    prepared = prepare(done.read)
    assert {action.id for action in prepared.actions} == {"1", "3"}
    for action in prepared.actions:
        text, routing = seen[action.version][action.id]
        assert (action.document, done.routings[action.id, action.alias]) == (text, routing)
    assert len(prepared.newest) + len(prepared.coalesced) + len(done.judged) == len(events)
    assert [each.document_id for each, _ in done.judged] == ["2"]
