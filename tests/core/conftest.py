"""Events by hand, and an empty database."""

from collections.abc import Iterator

import psycopg
import pytest

from moments import NOW, Insert
from scene import event


@pytest.fixture
def insert(sql: psycopg.Connection) -> Insert:
    """Insert one event with any columns; returns its id."""
    return lambda **columns: event(sql, **{"event_version": 1, "created_at": NOW} | columns)


@pytest.fixture
def raw(empty_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        yield connection
