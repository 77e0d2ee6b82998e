"""An index that is ahead of its source is told from an event that was overtaken."""

from uuid import uuid4

import psycopg
import pytest

from moments import Insert
from outboxctl.core.database import Database
from outboxctl.core.delivery.diagnosis import index_ahead


@pytest.mark.parametrize(("source", "found"), [(3, True), (4, False), (None, False)])
def test_only_an_unchanged_source_row_is_behind_its_document(
    db: Database, sql: psycopg.Connection, insert: Insert, source: int | None, found: bool
) -> None:
    """Sent at version 3 and refused for a newer document: the source is now at `source`."""
    entity = str(uuid4())
    event = insert(entity_id=entity)
    if source:
        sql.execute(
            "INSERT INTO search_index (entity_type, entity_id, event_version) VALUES ('block', %s, %s)",
            (entity, source),
        )
    with db.begin() as connection:
        assert index_ahead(connection, {event: 3}) == ({event} if found else set())
        assert index_ahead(connection, {}) == set()
