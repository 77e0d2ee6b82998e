"""A database of the schema before this one."""

from collections.abc import Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch

from core.upgrade.back import PREVIOUS, go_back
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from scene import Scene


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    db = Database(empty_url, connections=4)
    yield db
    db.close()


@pytest.fixture
def previous(empty: Database) -> Database:
    """The schema of the release before."""
    upgrade(empty, None)
    go_back(empty, PREVIOUS)
    return empty


@pytest.fixture
def raw(empty_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def scene(raw: psycopg.Connection, engine: Elasticsearch, index: str) -> Scene:
    return Scene(raw, engine, index)


@pytest.fixture
def env(env: dict[str, str], empty_url: str) -> dict[str, str]:
    return env | {"DATABASE_URL": empty_url}
