"""Events by hand, and an empty database."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from moments import NOW, Insert


@pytest.fixture
def insert(sql: psycopg.Connection) -> Insert:
    """Insert one event with any columns; returns its id."""

    def insert_event(**columns: object) -> str:
        row = {
            "id": str(uuid4()),
            "entity_type": "block",
            "entity_id": str(uuid4()),
            "op": "upsert",
            "event_version": 1,
            "created_at": NOW,
        } | columns
        names = ", ".join(row)
        marks = ", ".join(f"%({name})s" for name in row)
        sql.execute(f"INSERT INTO search_outbox_events ({names}) VALUES ({marks})", row)
        return str(row["id"])

    return insert_event


@pytest.fixture
def raw(empty_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        yield connection
