"""What a delivery asks afterwards: the fate of a COMMIT without an answer, and which index is ahead."""

from contextlib import suppress
from uuid import uuid4

import psycopg
import pytest

from moments import Insert
from outboxctl.core.database import Connection, Database
from outboxctl.core.delivery import diagnosis
from outboxctl.core.delivery.diagnosis import Fate, index_ahead


def transaction_id(connection: Connection) -> str:
    """The id of the current transaction."""
    return str(connection.execute(diagnosis.TRANSACTION_ID).scalar_one())


def broken_off(db: Database) -> str:
    """The id of a transaction that was rolled back."""
    transaction = ""
    with suppress(KeyError), db.begin() as connection:
        transaction = transaction_id(connection)
        raise KeyError
    return transaction


def test_a_commit_is_remembered(db: Database) -> None:
    with db.begin() as connection:
        transaction = transaction_id(connection)
    with db.begin() as connection:
        assert diagnosis.commit_fate(connection, transaction) is Fate.COMMITTED


def test_what_was_rolled_back_is_told_from_what_is_under_way(db: Database) -> None:
    transaction = broken_off(db)
    with db.begin() as connection:
        assert diagnosis.commit_fate(connection, transaction) is Fate.ABORTED
    with db.begin() as first, db.begin() as second:
        assert diagnosis.commit_fate(second, transaction_id(first)) is Fate.IN_PROGRESS


def test_a_transaction_that_a_failover_lost_has_not_committed(db: Database) -> None:
    with db.begin() as connection:
        beyond = str(int(transaction_id(connection)) + 1_000_000)
        assert diagnosis.commit_fate(connection, beyond) is Fate.ABORTED


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
