"""Sessions of the database: none outlives what it was opened for."""

from contextlib import closing

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.sql import engine
from outboxctl.domain.errors import UnreachableError, UsageError
from processes import eventually

ITSELF = "SELECT pg_backend_pid()"
OPEN = "SELECT FROM pg_stat_activity WHERE pid = %s"


def ends(sql: psycopg.Connection, pid: int) -> None:
    """This session ends soon, without anything else being done."""
    eventually(lambda: not sql.execute(OPEN, [pid]).rowcount, within=5, what=f"session {pid} ended")


def test_a_session_in_use_ends_with_its_transaction_once_connections_are_renewed(
    db: Database, sql: psycopg.Connection
) -> None:
    """After an upgrade an older one would stay open for as long as the worker runs."""
    with db.begin() as connection:
        pid = connection.exec_driver_sql(ITSELF).scalar_one()
        db.renew_connections()
        assert sql.execute(OPEN, [pid]).rowcount
    ends(sql, pid)


def test_a_session_beside_one_that_found_no_table_ends_with_its_transaction(
    db: Database, sql: psycopg.Connection
) -> None:
    with db.begin() as connection:
        pid = connection.exec_driver_sql(ITSELF).scalar_one()
        with pytest.raises(UsageError), db.begin() as other:
            other.exec_driver_sql("SELECT FROM not_there")
    ends(sql, pid)


@pytest.mark.parametrize(("chosen", "used"), [("on", "local"), ("remote_apply", "local"), ("off", "off")])
def test_a_workers_commit_waits_for_no_standby(url: str, chosen: str, used: str) -> None:
    """And where nobody waits for the disk either, that stays so."""
    with closing(Database(f"{url}?options=-csynchronous_commit%3D{chosen}", local_commits=True)) as db:
        for _ in range(2):
            with db.begin() as connection:
                assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == used
    with closing(Database(url)) as db, db.begin() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() != "local"


def test_a_pool_without_a_free_connection_is_no_unreachable_server(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LONGEST", 0.05)
    with closing(Database(url, connections=1)) as db, db.begin():
        with pytest.raises(UnreachableError, match="all 1 connections of this process") as caught:
            db.begin().__enter__()
        assert "the server may be well" in caught.value.hint
        assert caught.value.public == "all 1 connections of this process were in use for 0.05 s"
