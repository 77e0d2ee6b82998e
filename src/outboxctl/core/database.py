"""Connections to PostgreSQL: bounded in time, with our own search path and limits in each transaction."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from sqlalchemy.exc import TimeoutError as ExhaustedError

from outboxctl.core import search_path
from outboxctl.core.database_errors import (
    FAILED,
    NOT_FOUND,
    REACH,
    READ_ONLY,
    driver_error,
    sqlstate,
    translate,
)
from outboxctl.core.opening import commits_wait
from outboxctl.core.primaries import Move, Sessions
from outboxctl.core.sql import Connection, engine
from outboxctl.core.sql.transaction import open_now, session, transaction
from outboxctl.domain.errors import CutOffError, UnreachableError
from outboxctl.net.deadline import GUARD

LOCAL_COMMITS = "SET LOCAL synchronous_commit = local"
BUSY = (
    "the server may be well: its statements take long, or wait for locks; `outboxctl doctor --only database`"
)
STATEMENT_SHARE = 0.9  # of `longest`: the server's answer comes before we shut the socket
__all__ = ["Connection", "Database"]


class Database:
    """A pool of at most `connections` connections to one URL; nothing is opened before it is needed.

    A transaction that lasts longer than `longest` seconds is cut off, by the server too where it is idle for
    as long. A statement that waits for a lock longer than `lock_timeout` seconds raises LockedError. `renew`
    returns the URL for each new connection, where the password may have changed meanwhile. With
    `local_commits` no COMMIT waits for a synchronous standby: for what may be done again after a failover.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 2,
        longest: float | None = None,
        lock_timeout: float | None = None,
        renew: Callable[[], str] | None = None,
        local_commits: bool = False,
    ) -> None:
        self._longest, self._local_commits, self._size = longest, local_commits, connections
        self._commits_wait = (
            local_commits  # for a standby, as the session's settings have it, once one is open
        )
        self._limits = _limits(longest, lock_timeout)
        self._limits_local = "; ".join(filter(None, (self._limits, LOCAL_COMMITS)))
        self._sessions = Sessions(url, renew)
        self.name = self._sessions.name
        self._engine = engine.engine(self._connect, connections)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction. Raises UnreachableError or UsageError in place of the driver's errors."""
        name = self.name
        try:
            with self._lent() as connection:
                name = self.server_of(connection)
                with self.bounded(session(connection)), transaction(connection):
                    # The server ends it where we stay idle: it would keep rows locked for hours.
                    search_path.pin(connection, self._limits_local if self._commits_wait else self._limits)
                    yield connection
        except ExhaustedError:
            why = f"all {self._size} connections of this process were in use for {engine.LONGEST:g} s"
            raise UnreachableError(
                f"no connection to the database {name} was free: {why}", hint=BUSY, public=why
            ) from None
        except FAILED as raised:
            error = driver_error(raised)
            if sqlstate(error) in {READ_ONLY, *NOT_FOUND}:
                # After a failover the next connection may find the new primary; a table may be elsewhere now.
                self.renew_connections()
            raise translate(error, name) from error

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        """A connection of the pool; what breaks its session has broken the others, too."""
        pool = self._engine.pool
        with self._engine.connect() as connection:
            driver_session = session(connection)
            try:
                yield connection
            finally:
                if driver_session.closed and pool is self._engine.pool:
                    self.renew_connections()
                if pool is not self._engine.pool:
                    connection.invalidate()

    @contextmanager
    def bounded(self, driver_session: psycopg.Connection[Any]) -> Iterator[None]:
        """Cut a driver's connection off where the block takes longer than `longest`."""
        if self._longest is None:
            yield
            return
        with GUARD.over(self._longest) as watch:
            watch.descriptor = driver_session.fileno
            try:
                yield
            except FAILED as error:
                if watch.expired:
                    name = self._sessions.name_of(driver_session)
                    raise CutOffError(
                        f"the database {name} gave no answer for {self._longest:g} s",
                        hint=REACH,
                        public=f"no answer for {self._longest:g} s",
                    ) from driver_error(error)
                raise

    @contextmanager
    def apart(self) -> Iterator[psycopg.Connection]:
        """A session outside the pool, in autocommit, for what belongs to a session (LISTEN).

        Its search path is the login's own: only for statements without a function, an operator or a table.
        Raises UnreachableError or UsageError in place of the driver's errors.
        """
        try:
            with closing(self._sessions.open()) as own:
                own.autocommit = True
                yield own
        except psycopg.Error as error:
            raise translate(error, self.name) from error

    def server_of(self, connection: Connection) -> str:
        """`host:port/name` of the server that a connection is at."""
        return self._sessions.name_of(session(connection))

    def look(self) -> list[Move]:
        """Look for a newer primary where the URL names several servers; the moves to one since last time.

        Sessions at the one that was left are cut off, and what they were doing fails.
        """
        moves = self._sessions.look()
        if moves:
            self.renew_connections()
        return moves

    def renew_connections(self) -> None:
        """Open new connections from now on: those in use are closed at the end of their transaction.

        Each connection looks for our tables once: after a migration only new ones find those that it made.
        """
        self._engine.dispose()

    close = renew_connections

    def _connect(self) -> psycopg.Connection[Any]:
        new = self._sessions.open()
        new.autocommit = True
        if self._local_commits:
            with self.bounded(new):
                self._commits_wait = commits_wait(new)
        # A pooler may give us a session that listens: its notifications must not accumulate.
        new.add_notify_handler(lambda _: None)
        return new


def _limits(longest: float | None, lock_timeout: float | None) -> str:
    """The limits with which every transaction begins, as one message."""
    seconds = {
        "idle_in_transaction_session_timeout": longest,
        "statement_timeout": longest and longest * STATEMENT_SHARE,
        "lock_timeout": lock_timeout,
    }
    return "; ".join(f"SET LOCAL {name} = {int(s * 1_000)}" for name, s in seconds.items() if s)


def host_of(connection: Connection) -> str:
    """The host of a connection's server; a path for a socket of this machine."""
    info = session(connection).info
    return str(info.hostaddr or info.host)


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's own connection, for statements in the transaction."""
    open_now(connection)
    return session(connection)


def parameter_status(connection: Connection, name: str) -> str | None:
    """A setting that the server reports to each client, such as `server_encoding`."""
    return session(connection).info.parameter_status(name)
