"""A document that shows what the snapshot of its reader sees."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg

from outboxctl.core.database import Database
from outboxctl.core.projections import documents
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import KeyColumn, Projection, Relation

SETTINGS = "max_prepared_transactions = 20\nautovacuum = off\n"  # each transaction is one of the test's
# A document also shows the other numbers of its reader's snapshot, and the reader's own transaction.
SCHEMA = """
CREATE SCHEMA serials;
CREATE TABLE serials.counters (id int PRIMARY KEY, n bigint NOT NULL);
INSERT INTO serials.counters SELECT n, 0 FROM generate_series(0, 1) n;
CREATE VIEW serials.states AS
SELECT 1 AS id, (SELECT json_agg(n ORDER BY id) FROM serials.counters) AS counters,
    pg_snapshot_xmin(s)::text AS xmin, pg_snapshot_xmax(s)::text AS xmax,
    pg_current_xact_id_if_assigned()::text AS writes_as
FROM pg_current_snapshot() s;
"""
STATES = Projection(
    "states",
    Relation("serials", "counters"),
    (KeyColumn("id", "pg_catalog.int4"),),
    Relation("serials", "states"),
    "states",
)

SLOW = """
ALTER TABLE outbox_version_base RENAME TO kept_version_base;
CREATE VIEW outbox_version_base AS SELECT b.* FROM kept_version_base b, LATERAL (
    SELECT CASE WHEN current_setting('serials.waits', true) = 'on' THEN pg_advisory_lock_shared(1) END
    OFFSET 0
) waited;
"""
WAIT = "SET LOCAL serials.waits = 'on'"


class State(NamedTuple):
    """A document that was read: its version, the visible counters, and all that it shows."""

    version: int
    counters: tuple[int, ...]
    shown: dict[str, Any]


def read(connection: Connection) -> State:
    """As the worker reads a document."""
    found = documents.read(connection, STATES, ["1"], seconds=30)
    assert found.version is not None
    (text,) = found.texts
    shown = json.loads(text or "")
    return State(found.version, tuple(shown["counters"]), shown)


def read_by(db: Database) -> State:
    """The same in a transaction of its own."""
    with db.begin() as connection:
        return read(connection)


def add(session: psycopg.Connection, counter: int = 0) -> None:
    """A change that documents show."""
    session.execute("UPDATE serials.counters SET n = n + 1 WHERE id = %s", [counter])


@contextmanager
def held_up(url: str) -> Iterator[None]:
    """Until the block ends, a transaction that says WAIT reads documents in a statement that waits.

    It waits where it reads the base of versions, so after the snapshot was taken, and before a number that
    is drawn in the same statement.
    """
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(SLOW)
        session.execute("SELECT pg_advisory_lock(1)")
        yield


def once_before_reading(connection: Connection, action: Callable[[], None]) -> None:
    """Have `action` happen in the connection's transaction, just before its documents are read."""
    actions, execute = [action], connection.exec_driver_sql

    def before(statement: str, *given: Any) -> Any:
        if "serials" in statement and actions:
            actions.pop()()
        return execute(statement, *given)

    vars(connection)["exec_driver_sql"] = before
