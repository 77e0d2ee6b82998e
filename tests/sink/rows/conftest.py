"""The bench, on one database for all these tests, and a fake sink."""

from collections.abc import Iterator

import psycopg
import pytest

import servers as test_servers
from acceptance import lab
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from servers import Servers
from sink.rows.bench import Bench

TABLES = ("search_outbox_events", "search_index", "outbox_operator_audit")


@pytest.fixture(scope="module")
def shared_url(servers: Servers, template: str) -> Iterator[str]:
    """A database for all tests of a module: making one takes longer than most of them."""
    with test_servers.a_database(servers.postgres, template) as url:
        yield url


@pytest.fixture
def url(shared_url: str) -> Iterator[str]:
    """That database, emptied afterwards; no process is left behind that could still write to it."""
    yield shared_url
    with psycopg.connect(shared_url, autocommit=True) as connection:
        for table in TABLES:
            connection.execute(f"DELETE FROM {table}")


@pytest.fixture
def bench(sql: lab.Sql, db: Database, url: str) -> Bench:
    """Rows to put in, deliver and look at."""
    return Bench(sql, db, url)


@pytest.fixture
def adopted(empty_url: str) -> Iterator[Bench]:
    """A database of its own with `entity_type` as wide as an adopted one may have it."""
    db = Database(empty_url)
    upgrade(db, None)
    with psycopg.connect(empty_url, autocommit=True) as sql:
        for table in TABLES[:2]:
            sql.execute(f"ALTER TABLE {table} ALTER COLUMN entity_type TYPE text")
        yield Bench(sql, db, empty_url)
    db.close()


@pytest.fixture(params=["count", "hold"])
def policy(request: pytest.FixtureRequest) -> str:
    """Both outage policies."""
    return str(request.param)
