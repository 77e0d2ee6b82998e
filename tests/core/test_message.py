"""Several statements in one message: each counts, an error stops the rest, and values stay values."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest

from fakes.postgres_proxy import Do, Proxy
from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import claim
from outboxctl.core.message import send
from outboxctl.core.sql import text
from outboxctl.domain.errors import OutboxctlError, UnreachableError

ONE = text("SELECT CAST(:value AS text)")
HOSTILE = [
    "'; DROP TABLE search_outbox_events; --",
    "\\",
    "\\'",
    '"',
    "%",
    "%(value)s",
    "%%",
    "é \U0001f600",
    "$1",
]
REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'not at this COMMIT';
END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON search_outbox_events
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
"""
EVENT = """
INSERT INTO search_outbox_events (entity_type, entity_id, op) VALUES ('block', gen_random_uuid(), 'x')
"""


@pytest.fixture
def near(database_proxy: Proxy) -> Iterator[Database]:
    """Through the proxy; its only connection has been used."""
    with closing(Database(database_proxy.url, connections=1, longest=20)) as db:
        with db.begin() as connection:
            send(connection, (ONE, {"value": "first"}), commit=True)
        yield db


@pytest.mark.parametrize("strings", ["on", "off"])
@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_comes_back_as_it_was(url: str, strings: str, value: str) -> None:
    given = f"{url}?options=-cstandard_conforming_strings%3D{strings}%20-cescape_string_warning%3Doff"
    with closing(Database(given)) as db, db.begin() as connection:
        ((rows, size), _) = send(connection, (ONE, {"value": value}), (ONE, {"value": "another"}))
    assert (rows, size) == ([(value,)], 1)


def test_one_message_is_one_round_trip_and_an_empty_transaction_none(
    near: Database, database_proxy: Proxy
) -> None:
    before = len(database_proxy.transactions("BEGIN"))
    with near.begin():
        pass
    assert len(database_proxy.transactions("BEGIN")) == before
    with near.begin() as connection:
        send(connection, "SET LOCAL jit = off", (ONE, {"value": "x"}), (ONE, {"value": "y"}), commit=True)
    assert [each.trips for each in database_proxy.transactions("SET LOCAL jit")] == [1]


def test_an_error_takes_back_what_was_before_it(db: Database, sql: psycopg.Connection) -> None:
    with pytest.raises(OutboxctlError, match="division by zero"), db.begin() as connection:
        send(connection, (text(EVENT), {}), (text("SELECT 1 / :zero"), {"zero": 0}), commit=True)
    assert sql.execute("SELECT FROM search_outbox_events").rowcount == 0
    with db.begin() as connection:
        assert send(connection, (ONE, {"value": "well"}))[0].rows == [("well",)]


def test_a_claim_whose_commit_is_refused_has_claimed_nothing(db: Database, sql: psycopg.Connection) -> None:
    sql.execute(EVENT)
    sql.execute(REFUSING)
    with pytest.raises(OutboxctlError, match="not at this COMMIT"), db.begin() as connection:
        claim(connection, owner="me", token=str(uuid4()), size=1, lease=30, commit=True)
    assert sql.execute("SELECT status, attempts FROM search_outbox_events").fetchall() == [("pending", 0)]


def test_a_connection_that_broke_before_a_transaction_is_not_used_again(
    near: Database, database_proxy: Proxy
) -> None:
    """What opens a transaction is the first message that notices."""
    database_proxy.cut()
    with pytest.raises(UnreachableError), near.begin() as connection:
        connection.execute(text("SELECT 1"))
    with near.begin() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


@pytest.mark.parametrize("do", [Do.DROP_STATEMENT, Do.DROP_ANSWER])
def test_a_connection_that_broke_in_a_message_is_not_used_again(
    near: Database, database_proxy: Proxy, do: Do
) -> None:
    database_proxy.on("COMMIT", do)
    with pytest.raises(UnreachableError), near.begin() as connection:
        send(connection, (ONE, {"value": "x"}), commit=True)
    with near.begin() as connection:
        assert send(connection, (ONE, {"value": "well"}), commit=True)[0].rows == [("well",)]


def test_what_follows_a_commit_is_in_another_transaction_with_the_same_search_path(url: str) -> None:
    """Not in none: there the login's own search path would be in force."""
    with closing(Database(url, connections=1, longest=20)) as db:
        for _ in ("a new connection", "a known one"):
            with db.begin() as connection:
                send(connection, (ONE, {"value": "x"}), commit=True)
                assert connection.exec_driver_sql("SHOW search_path").scalar() == "pg_catalog, pg_temp"
                assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "18s"


def test_an_ordinary_statement_is_in_the_transaction_too(db: Database) -> None:
    with db.begin():
        pass
    with db.begin() as connection:
        first = connection.execute(text("SELECT pg_current_xact_id()::text")).scalar_one()
        ((rows, _),) = send(connection, (text("SELECT pg_current_xact_id()::text"), {}))
    assert rows == [(first,)]
