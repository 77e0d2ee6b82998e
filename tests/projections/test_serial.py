"""The version of a document grows with every change that its reader sees, whatever transactions do."""

import os
import threading
from collections.abc import Iterator

import psycopg
import pytest

import shop
from clusters import Cluster, cluster
from outboxctl.core.database import Database
from outboxctl.core.projections import version_base
from outboxctl.core.schema.migrations import upgrade
from processes import eventually
from projections import serials
from projections.serials import Application, State, add, read, read_by
from servers import new_database

STATES = int(os.environ.get("PROJECTIONS_STATES", "1500"))
Sessions = tuple[psycopg.Connection, psycopg.Connection]


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server with prepared transactions, on which nobody else finishes one."""
    with cluster(serials.SETTINGS) as started:
        yield started


@pytest.fixture
def own_url(server: Cluster) -> str:
    """A migrated database on it, with counters."""
    url = new_database(server.url)
    db = Database(url)
    upgrade(db, None)
    with db.begin() as connection:
        version_base.raise_base(connection)
    db.close()
    with psycopg.connect(url, autocommit=True) as sql:
        sql.execute(shop.SCHEMA)
        sql.execute(serials.SCHEMA)
        sql.execute("CREATE SEQUENCE public.drawn")
    return url


@pytest.fixture
def reader(own_url: str) -> Iterator[Database]:
    db = Database(own_url, connections=3)
    yield db
    db.close()


@pytest.fixture
def two(own_url: str) -> Iterator[Sessions]:
    """Two sessions of the application, each with an open transaction that has an id, in this order."""
    with psycopg.connect(own_url) as first, psycopg.connect(own_url) as second:
        for session in (first, second):
            session.execute("SELECT pg_current_xact_id()")
        yield first, second


def assert_rises(before: State, after: State) -> None:
    """The newer document wins, whichever arrives last."""
    assert before.counters < after.counters, "the interleaving is not the one of the test"
    assert before.version < after.version


@pytest.mark.slow(reason="thousands of snapshots beside six writers, on a server of its own")
def test_of_any_two_documents_the_one_that_sees_more_wins(own_url: str) -> None:
    """Savepoints, rollbacks, late and two-phase commits, cascades; thousands of snapshots meanwhile."""
    application = Application(own_url, serials.SEED)
    application.run(STATES)
    assert not application.errors, application.errors
    assert len({state.counters for state in application.states}) > STATES, "too few states for a proof"
    wrong = serials.wrong(application.states)
    assert not wrong, f"seed {serials.SEED}: {len(wrong)} pairs, the first of them: {wrong[0]}"


def test_an_idle_transaction_does_not_hold_versions_back(two: Sessions, reader: Database) -> None:
    """The snapshot's xmin would be that of the idle transaction both times: the late writer overwrites."""
    _, busy = two
    before = read_by(reader)
    add(busy)
    busy.commit()
    after = read_by(reader)
    assert before.shown["xmin"] == after.shown["xmin"]
    assert_rises(before, after)


def test_the_commit_of_an_older_transaction_after_a_younger_one_counts(
    two: Sessions, reader: Database
) -> None:
    """The snapshot's xmax would be above both both times."""
    older, younger = two
    younger.commit()
    before = read_by(reader)
    add(older)
    older.commit()
    after = read_by(reader)
    assert before.shown["xmax"] == after.shown["xmax"]
    assert_rises(before, after)


def test_a_rollback_and_a_savepoint_never_lower_the_version(two: Sessions, reader: Database) -> None:
    """A serial that counted transactions begun, or ids in use, would fall."""
    older, younger = two
    versions = [read_by(reader).version]
    for _ in range(70):
        older.execute("SAVEPOINT s; UPDATE serials.counters SET n = n; ROLLBACK TO s")
    versions.append(read_by(reader).version)
    for session in (younger, older):
        session.rollback()
        versions.append(read_by(reader).version)
    assert versions == sorted(versions)
    assert versions[1] < versions[2] < versions[3]


def test_a_prepared_transaction_counts_when_it_is_committed(two: Sessions, reader: Database) -> None:
    """The number of the session's last end would miss what another session decides."""
    prepared, other = two
    add(prepared)
    prepared.execute("PREPARE TRANSACTION 'p'")
    other.commit()
    before = read_by(reader)
    other.autocommit = True
    other.execute("COMMIT PREPARED 'p'")
    assert_rises(before, read_by(reader))


def test_a_slow_read_keeps_the_version_of_its_snapshot(own_url: str, reader: Database) -> None:
    """A number of a sequence, the time or the WAL's position would be drawn late: older text, above newer."""
    slow: list[State] = []

    def reads_slowly() -> None:
        with reader.begin() as connection:
            connection.exec_driver_sql(serials.WAIT)
            slow.append(read(connection))

    with psycopg.connect(own_url, autocommit=True) as sql:
        with serials.held_up(own_url):
            thread = threading.Thread(target=reads_slowly)
            thread.start()
            stuck = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            eventually(lambda: sql.execute(stuck).rowcount)
            add(sql)
            quick = read_by(reader)
        thread.join(30)
    assert_rises(slow[0], quick)


def test_documents_are_read_by_a_transaction_that_has_written_nothing(
    two: Sessions, own_url: str, reader: Database
) -> None:
    """A transaction's own id is not among those in progress: once it has one, its version is one too high."""
    _, later = two
    with psycopg.connect(own_url, autocommit=True) as sql, reader.begin() as connection:
        serials.once_before_reading(connection, lambda: add(sql, 1))
        before = read(connection)
        add(later)
        later.commit()
        after = read_by(reader)
    assert_rises(before, after)
    assert before.shown["writes_as"] is None


def test_nothing_finished_means_the_same_version(reader: Database) -> None:
    assert read_by(reader).version == read_by(reader).version
