"""An application of concurrent sessions, and a document that shows what the snapshot of its reader sees."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from random import Random
from typing import Any, NamedTuple

import psycopg

from outboxctl.core.database import Database
from outboxctl.core.projections import documents
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import KeyColumn, Projection, Relation
from shop.sessions import KEYS, Session

SEED = int(os.environ.get("PROJECTIONS_SEED", "1"))
WRITERS, READERS = 6, 4
LONGEST = 120.0  # seconds for the states that are asked for
SETTINGS = "max_prepared_transactions = 20\nautovacuum = off\n"  # each transaction is one of the test's
# A document also shows the other numbers of its reader's snapshot, and the reader's own transaction.
SCHEMA = f"""
CREATE SCHEMA serials;
CREATE TABLE serials.counters (id int PRIMARY KEY, n bigint NOT NULL);
INSERT INTO serials.counters SELECT n, 0 FROM generate_series(0, {WRITERS - 1}) n;
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

ADD = "UPDATE serials.counters SET n = n + 1 WHERE id = {}"
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


def wrong(states: list[State]) -> list[tuple[State, State]]:
    """Neighbours by version whose counters are not in that order, or differ although the version is one.

    Of two snapshots one sees all that the other sees: comparing neighbours is comparing all.
    """
    return [
        (older, newer)
        for older, newer in pairwise(sorted(states, key=itemgetter(0, 1)))
        if (older.version == newer.version and older.counters != newer.counters)
        or any(a > b for a, b in zip(older.counters, newer.counters, strict=True))
    ]


def add(session: psycopg.Connection, counter: int = 0) -> None:
    """A change that documents show."""
    session.execute(ADD.format(counter).encode())


@dataclass
class Application:
    """Sessions that write and sessions that read, each a thread, until enough states were seen."""

    url: str
    seed: int
    states: list[State] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    pids: set[int] = field(default_factory=set)

    def run(self, wanted: int) -> None:
        """Run until so many different states were read."""
        jobs = [self._writer(n) for n in range(WRITERS)] + [self._reader] * READERS
        threads = [threading.Thread(target=self._guarded, args=[job]) for job in jobs]
        for thread in threads:
            thread.start()
        for _ in range(int(LONGEST / 0.1)):
            if self.over.wait(0.1) or len({state.counters for state in list(self.states)}) > wanted:
                break
        self.over.set()
        for thread in threads:
            thread.join(LONGEST)

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            self.errors.append(error)
            self.over.set()

    def _reader(self) -> None:
        db = Database(self.url, connections=1)
        while not self.over.is_set():
            self.states.append(read_by(db))
        db.close()

    def _writer(self, number: int) -> Callable[[], None]:
        def run() -> None:
            with psycopg.connect(self.url, autocommit=True) as sql:
                session = Session(sql, Random(self.seed * WRITERS + number), self.pids, rare=())
                while not self.over.is_set():
                    session.transaction(KEYS, ADD.format(number))
                assert not session.errors, session.errors

        return run


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
