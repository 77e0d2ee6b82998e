"""Connections to PostgreSQL: bounded in time, with our own search path and limits in each transaction."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from outboxctl.core import deferred, search_path, tls
from outboxctl.core.database_errors import NOT_FOUND, REACH, READ_ONLY, sqlstate, translate
from outboxctl.domain.errors import CutOffError, UsageError
from outboxctl.net.deadline import GUARD
from outboxctl.net.urls import check_database_url

# Connecting is bounded, and a dead peer detected within half a minute; a value in the URL takes precedence.
DEFAULTS: dict[str, str] = {
    "connect_timeout": "5",
    "application_name": "outboxctl",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "client_encoding": "utf8",
}
# What the pool logs is raised, too: without a handler a command that is interrupted would print a traceback.
logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())
STATEMENT_SHARE = 0.9  # of `longest`: the server's answer comes before we shut the socket
__all__ = ["Connection", "Database"]  # Connection, so that no other package imports SQLAlchemy


class Database:
    """A pool of at most `connections` connections to one URL; nothing is opened before it is needed.

    A transaction that lasts longer than `longest` seconds is cut off, by the server too where it is idle for
    as long. A statement that waits for a lock longer than `lock_timeout` seconds raises LockedError. `renew`
    returns the URL for each new connection, where the password may have changed meanwhile.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 2,
        longest: float | None = None,
        lock_timeout: float | None = None,
        renew: Callable[[], str] | None = None,
    ) -> None:
        self._longest, self._renew = longest, renew
        self._limits = _limits(longest, lock_timeout)
        self._conninfo = DEFAULTS | parameters(url)
        tls.check(self._conninfo)
        self.name = describe(self._conninfo)
        self.engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect_for_pool,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=30,
        )
        for before in (deferred.open_first, search_path.qualified):
            event.listen(self.engine, "before_cursor_execute", before, retval=True)
        # We send BEGIN ourselves, with more: the driver must not send one before.
        self._opened_by_us = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction. Raises UnreachableError or UsageError in place of the driver's errors."""
        try:
            with self._connected() as connection, self.bounded(_session(connection)), connection.begin():
                # The server ends this transaction where we stay idle: it would keep rows locked for hours.
                search_path.pin(connection, self._limits)
                yield connection
        except (SQLAlchemyError, psycopg.Error) as error:
            if sqlstate(error) in {READ_ONLY, *NOT_FOUND}:
                # After a failover the next connection may find the new primary; a table may be elsewhere now.
                self.engine.dispose()
            raise translate(error, self.name) from error

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection of the pool; closed afterwards where the pool was given up meanwhile.

        SQLAlchemy would keep it open in that pool until memory is collected.
        """
        pool = self.engine.pool
        try:
            with self._opened_by_us.connect() as connection:
                try:
                    yield connection
                finally:
                    if connection.invalidated and self.engine.pool is pool:
                        self.engine.dispose()  # what broke this connection has broken the others, too
        finally:
            if self.engine.pool is not pool:
                pool.dispose()

    @contextmanager
    def bounded(self, session: Any) -> Iterator[None]:
        """Cut a driver's connection off where the block takes longer than `longest`."""
        if self._longest is None:
            yield
            return
        with GUARD.over(self._longest) as watch:
            watch.descriptor = session.fileno
            try:
                yield
            except (SQLAlchemyError, psycopg.Error) as error:
                if watch.expired:
                    raise CutOffError(
                        f"the database {self.name} gave no answer for {self._longest:g} s",
                        hint=REACH,
                        public=f"no answer for {self._longest:g} s",
                    ) from error
                raise

    @contextmanager
    def apart(self) -> Iterator[psycopg.Connection]:
        """A session outside the pool, in autocommit, for what belongs to a session (LISTEN).

        Its search path is the login's own: only for statements without a function, an operator or a table.
        Raises UnreachableError or UsageError in place of the driver's errors.
        """
        try:
            with closing(self._connect()) as session:
                session.autocommit = True
                yield session
        except psycopg.Error as error:
            raise translate(error, self.name) from error

    def renew_connections(self) -> None:
        """Open new connections from now on: those in use are closed at the end of their transaction.

        Each connection looks for our tables once: after a migration only new ones find those that it made.
        """
        self.engine.dispose()

    def close(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()

    def _connect_for_pool(self) -> Any:
        connection = self._connect()
        # A pooler may give us a session that listens: its notifications must not accumulate.
        connection.add_notify_handler(lambda _: None)
        return connection

    def _connect(self) -> Any:
        if self._renew:
            with suppress(UsageError):  # a file that is half written: the old URL may still be valid
                self._conninfo = DEFAULTS | parameters(self._renew())
        try:
            # Nothing is prepared: the session may sit behind a pooler in transaction mode.
            connection = psycopg.connect(**self._conninfo, prepare_threshold=None)
        except psycopg.OperationalError as error:
            raise tls.explained(error, self._conninfo, self.name) or error from None
        if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            _accept_any_bytes(connection)
        return connection


class LenientText(Loader):
    """Bytes that are no UTF-8 become lone surrogates, so that only the use of that text fails."""

    def load(self, data: Buffer) -> str:
        """Decode one value."""
        return bytes(data).decode("utf-8", "surrogateescape")


class LenientString(StrDumperUnknown):
    """The inverse, so that a row can be selected by a text that was read."""

    def dump(self, obj: str) -> Buffer | None:
        """Encode one parameter."""
        return super().dump(obj) if "\x00" in obj else obj.encode("utf-8", "surrogateescape")


def _accept_any_bytes(connection: psycopg.Connection) -> None:
    """For a SQL_ASCII database: decoded as UTF-8, one row's text could make a whole claim fail."""
    connection.execute("SET client_encoding TO SQL_ASCII")
    connection.commit()
    for kind in ("text", "varchar", "bpchar", "name"):
        connection.adapters.register_loader(kind, LenientText)
    connection.adapters.register_dumper(str, LenientString)


def _limits(longest: float | None, lock_timeout: float | None) -> str:
    """The limits with which every transaction begins, as one message."""
    seconds = {
        "idle_in_transaction_session_timeout": longest,
        "statement_timeout": longest and longest * STATEMENT_SHARE,
        "lock_timeout": lock_timeout,
    }
    return "; ".join(f"SET LOCAL {name} = {int(s * 1_000)}" for name, s in seconds.items() if s)


def describe(conninfo: dict[str, Any]) -> str:
    """`host:port/name` for messages; no user, no password."""
    host = conninfo.get("host") or conninfo.get("hostaddr") or "local socket"
    return f"{host}:{conninfo.get('port', 5432)}/{conninfo.get('dbname', '')}"


def host_of(connection: Connection) -> str:
    """The host of a connection's server; a path for a socket of this machine."""
    info = _session(connection).info
    return str(info.hostaddr or info.host)


def driver(connection: Connection) -> Any:
    """The driver's own connection, for statements in the transaction."""
    deferred.open_now(connection)
    return _session(connection)


def parameter_status(connection: Connection, name: str) -> str | None:
    """A setting that the server reports to each client, such as `server_encoding`."""
    status: str | None = _session(connection).info.parameter_status(name)
    return status


def _session(connection: Connection) -> Any:
    return connection.connection.driver_connection


def parameters(url: str) -> dict[str, Any]:
    """The parameters that libpq reads in a URL, by libpq's names. UsageError where it cannot read it."""
    try:
        values = conninfo_to_dict(check_database_url(url))
    except (psycopg.Error, ValueError):
        # libpq's message repeats parts of the URL, the password among them.
        raise UsageError(
            "bad setting DATABASE_URL: PostgreSQL's library cannot read this URL",
            hint="expected postgresql://user:password@host:5432/name, special characters percent-encoded",
        ) from None
    if "," in str(values.get("host", "")):
        # Of several servers the first may be a standby, and we need one that takes writes.
        values.setdefault("target_session_attrs", "read-write")
    return values
