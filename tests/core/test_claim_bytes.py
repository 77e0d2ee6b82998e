"""A batch holds as many of the oldest documents as have room, and at least one; the rest waits unharmed."""

from collections.abc import Sequence
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from moments import Insert, at, when
from outboxctl.core.database import Database
from outboxctl.core.delivery import settle
from outboxctl.core.delivery.claim import Claimed, claim
from outboxctl.core.documents.table import TableSource
from outboxctl.core.projections.document_sql import LEFT_OUT

BOUND = 2_000
TRIED = 2  # attempts that every event had before


def claimed(db: Database, token: str, bound: int | None = BOUND) -> list[Claimed]:
    """Events with their documents, read until there is no room."""
    with when(db, 0) as connection:
        events = claim(connection, owner="w", token=token, size=50, lease=10).events
    read = TableSource().latest(db, [each.document_id for each in events], seconds=9, max_bytes=bound)
    return [
        event._replace(source_version=version, document=document)
        for event, version, document in zip(events, read.versions, read.texts, strict=True)
    ]


def put(sql: psycopg.Connection, insert: Insert, texts: Sequence[int | None]) -> list[str]:
    """Events from the oldest to the youngest, each with a text of so many bytes, or no source row at all."""
    ids = []
    for age, length in enumerate(texts):
        entity = str(uuid4())
        if length is not None:
            sql.execute(
                "INSERT INTO search_index (entity_type, entity_id, text, snippet, event_version)"
                " VALUES ('block', %s, repeat('é', %s), '', 1)",
                (entity, length // 2),
            )
        ids.append(insert(entity_id=entity, attempts=TRIED, created_at=at(age - 100)))
    return ids


def lengths(db: Database) -> dict[str, int]:
    """Bytes of every event's document, where it has one."""
    token = str(uuid4())
    batch = claimed(db, token, bound=None)
    with db.begin() as connection:
        settle.release(connection, [token])
    return {event.id: len(event.document.encode()) for event in batch if event.document is not None}


def carry_out(db: Database) -> tuple[list[Claimed], list[Claimed]]:
    """One batch: what was taken is done, what was left out goes back; returns both."""
    token = str(uuid4())
    batch = claimed(db, token)
    taken = [event for event in batch if event.document != LEFT_OUT]
    left = [event for event in batch if event.document == LEFT_OUT]
    with db.begin() as connection:
        done, released = ([event.id for event in some] for some in (taken, left))
        _, hit = settle.write(connection, token, done=done, released=released)
    assert hit == {event.id for event in batch}
    return taken, left


@pytest.mark.slow(reason="many megabytes")
@given(st.lists(st.none() | st.integers(0, 3_000), min_size=1, max_size=12))
@example([10, 5_000, 10])
@example([5_000, 5_000])
@example([None, 5_000, None, 5_000, None])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_batch_is_too_large_and_all_are_delivered_from_the_oldest_on(
    db: Database, sql: psycopg.Connection, insert: Insert, texts: list[int | None]
) -> None:
    sql.execute("TRUNCATE search_outbox_events, search_index")
    waiting = put(sql, insert, texts)
    size = lengths(db)
    while waiting:
        taken, left_out = carry_out(db)
        documents = [event.id for event in taken if event.document is not None]
        together = sum(size[id_] for id_ in documents)
        assert together <= BOUND or len(documents) == 1
        assert all(event.document == LEFT_OUT for event in left_out)
        assert not left_out or together + size[left_out[0].id] > BOUND, "there was room for one more"
        with_document = [id_ for id_ in waiting if id_ in size]
        assert documents == with_document[: len(documents)], "the oldest first"
        assert {event.attempts for event in [*taken, *left_out]} == {TRIED + 1}, "waiting costs no attempt"
        assert taken
        waiting = [id_ for id_ in waiting if id_ not in {event.id for event in taken}]


def test_what_is_left_out_says_so_and_keeps_its_source_version(
    db: Database, sql: psycopg.Connection, insert: Insert
) -> None:
    put(sql, insert, [5_000, None, 10])
    whole, gone, left_out = claimed(db, str(uuid4()))
    assert whole.document
    assert (gone.source_version, gone.document) == (None, None)
    assert (left_out.source_version, left_out.document) == (1, LEFT_OUT)


def test_retries_that_are_due_have_room_before_younger_events(
    db: Database, sql: psycopg.Connection, insert: Insert
) -> None:
    fresh, retry = put(sql, insert, [1_500, 1_500])
    sql.execute("UPDATE search_outbox_events SET next_retry_at = %s WHERE id = %s", (at(-1), retry))
    taken, left_out = carry_out(db)
    assert ([event.id for event in taken], [event.id for event in left_out]) == ([retry], [fresh])
