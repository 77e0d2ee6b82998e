"""Connections to PostgreSQL, and its errors in the user's words."""

import re
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
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from outboxctl.core import search_path, tls
from outboxctl.core.connection_causes import public_cause
from outboxctl.domain.errors import (
    CutOffError,
    LimitError,
    LockedError,
    OutboxctlError,
    UnreachableError,
    UsageError,
)
from outboxctl.domain.printable import brief
from outboxctl.domain.redaction import redact
from outboxctl.net.deadline import GUARD
from outboxctl.net.urls import check_database_url

# Bounded connecting, and a dead peer noticed within half a minute; a value in the URL wins.
DEFAULTS: dict[str, str] = {
    "connect_timeout": "5",
    "application_name": "outboxctl",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "client_encoding": "utf8",
}
__all__ = ["Connection", "Database"]  # the type of a connection, so that no other room imports SQLAlchemy

READ_ONLY = "25006"
MOVED = ("42P01", "3F000", "42883")  # no such table, schema or function where this connection looked for it
AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeoutError)
STATEMENT_SHARE = 0.9  # of `longest`: the server's answer comes before we shut the socket
OUT_OF_MEMORY, ALLOCATION = "53200", "invalid memory alloc request"  # the latter has no state of its own
FUNCTION = re.compile(r"(PL/pgSQL|SQL) function .*?(?= line \d| statement \d|$)", re.M)
LOOSE = (
    "it looks for names in schemas in which other roles may create objects, and these are not searched: "
    "ALTER FUNCTION … SET search_path = … gives it a path of its own (`outboxctl doctor` has the commands)"
)
UNUSABLE = "the database {name} cannot be used: {text}"
REACH = "check DATABASE_URL, and that the server runs (`outboxctl services up` starts a local one)"
# SQLSTATEs, and what they are to the user: the error, its message, what to do; for the probes our own words.
KNOWN: tuple[tuple[set[str], type[OutboxctlError], str, str, str], ...] = (
    (
        {"42P01", "42703", "3F000"},  # undefined table, undefined column, no schema
        UsageError,
        "the schema in {name} is missing or damaged: {text}",
        "run `outboxctl db upgrade`",
        "the schema is missing or damaged: run `outboxctl db upgrade`",
    ),
    (
        {"42501"},
        UsageError,
        "not permitted in {name}: {text}",
        "use a role with the needed rights: `outboxctl db roles` shows them",
        "a right is missing: see `outboxctl doctor`",
    ),
    (
        {"22P05", "22021"},  # a character that the database's encoding lacks
        UsageError,
        "the database {name} cannot store a text: {text}",
        "use characters that the database's encoding has (`SHOW server_encoding`)",
        "a text cannot be stored in the database's encoding",
    ),
    (
        {"55P03", "40P01"},  # lock not available in the time that we gave it; a deadlock
        LockedError,
        "the database {name} did not give a lock: {text}",
        "a long transaction is in the way: try again once it has ended",
        "a lock was not given in time (lock timeout), or there was a deadlock",
    ),
    (
        {"54000", OUT_OF_MEMORY},  # a value of 1 GB
        LimitError,
        "the database {name} cannot do this: {state} {text}",
        "ask for less at once",
        "a value or a statement is too large for the server",
    ),
    (
        {"57014"},
        CutOffError,
        UNUSABLE,
        REACH,
        "a statement took too long, or was cancelled",
    ),  # statement_timeout, or somebody cancelled the statement
    # Ended by the server: we were silent for too long in a transaction, or the transaction took too long.
    (
        {"25P03", "25P04"},
        UnreachableError,
        UNUSABLE,
        REACH,
        "the server ended a transaction that took too long",
    ),
    ({READ_ONLY}, UnreachableError, UNUSABLE, REACH, "the server is read-only"),
)


class Database:
    """A pool of at most `connections` connections to one URL; nothing is opened before it is needed.

    A transaction that lasts longer than `longest` seconds is cut off: its server may never answer.
    The server ends it too, if it hears nothing from us for as long. A statement that waits for a lock
    longer than `lock_timeout` seconds raises LockedError. `renew` gives the URL for each new
    connection, where the password may have changed meanwhile.
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
        event.listen(self.engine, "before_cursor_execute", search_path.qualified, retval=True)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction. Raises UnreachableError or UsageError in place of the driver's errors."""
        try:
            with self.engine.connect() as connection, self.bounded(driver(connection)), connection.begin():
                # The server ends this transaction if we fall silent: it would keep our rows locked for hours.
                search_path.pin(connection, self._limits)
                yield connection
        except (SQLAlchemyError, psycopg.Error) as error:
            if _state(error) in {READ_ONLY, *MOVED}:
                # After a failover the next connection may find the new primary; a table may be elsewhere now.
                self.engine.dispose()
            raise translate(error, self.name) from error

    @contextmanager
    def bounded(self, session: Any) -> Iterator[None]:
        """Cut a driver's connection off if what is done with it in the block takes too long."""
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
        """A session outside the pool, each statement a transaction: for what belongs to a session.

        Its search path is the login's own: only for statements without a function, an operator or a table.
        Raises UnreachableError or UsageError in place of the driver's errors.
        """
        try:
            with closing(self._connect()) as session:
                session.autocommit = True
                yield session
        except psycopg.Error as error:
            raise translate(error, self.name) from error

    def close(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()

    def _connect_for_pool(self) -> Any:
        connection = self._connect()
        # A pooler may hand us a session that listens for somebody: what it hears must not pile up.
        connection.add_notify_handler(lambda _: None)
        return connection

    def _connect(self) -> Any:
        if self._renew:
            with suppress(UsageError):  # half written: what we have may still do
                self._conninfo = DEFAULTS | parameters(self._renew())
        try:
            # Nothing is prepared: the session may sit behind a pooler in transaction mode.
            connection = psycopg.connect(**self._conninfo, prepare_threshold=None)
        except psycopg.OperationalError as error:
            raise tls.explained(error, self._conninfo, self.name) or error from None
        if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            _be_lenient(connection)
        return connection


class LenientText(Loader):
    """Bytes that are no UTF-8 become lone surrogates: they stop only whoever needs that very text."""

    def load(self, data: Buffer) -> str:
        """Decode one value."""
        return bytes(data).decode("utf-8", "surrogateescape")


class LenientString(StrDumperUnknown):
    """The way back, so that a row can be asked for by what was read of it."""

    def dump(self, obj: str) -> Buffer | None:
        """Encode one parameter."""
        return super().dump(obj) if "\x00" in obj else obj.encode("utf-8", "surrogateescape")


def _be_lenient(connection: psycopg.Connection) -> None:
    """Such a database holds any bytes; as UTF-8 it would refuse a whole claim for the text of one row."""
    connection.execute("SET client_encoding TO SQL_ASCII")
    connection.commit()
    for kind in ("text", "varchar", "bpchar", "name"):
        connection.adapters.register_loader(kind, LenientText)
    connection.adapters.register_dumper(str, LenientString)


def translate(error: Exception, name: str) -> OutboxctlError:
    """The user's view of a driver error: what failed, where, what to do; never the statement."""
    cause = getattr(error, "orig", error)
    text = brief(redact(str(cause)).strip().partition("\n")[0], 300)
    state = OUT_OF_MEMORY if ALLOCATION in text else _state(error)
    if state in MOVED and (inside := _inside(cause)):
        return UsageError(f"{inside} failed in {name}: {text}", hint=LOOSE, public=LOOSE)
    for states, kind, message, hint, public in KNOWN:
        if state in states:
            return kind(message.format(name=name, state=state, text=text), hint=hint, public=public)
    if isinstance(cause, AWAY):
        return UnreachableError(UNUSABLE.format(name=name, text=text), hint=REACH, public=public_cause(text))
    return OutboxctlError(
        f"the database {name} refused: {state} {text}", public="the server refused a statement"
    )


def _inside(cause: Any) -> str:
    """The function in which it happened, where our statement fired one; empty otherwise."""
    context = str(getattr(getattr(cause, "diag", None), "context", None) or "")
    found = FUNCTION.search(context)
    return brief(found[0], 140) if found else ""


def _limits(longest: float | None, lock_timeout: float | None) -> str:
    """What every transaction begins with: one message, whatever is in it."""
    seconds = {
        "idle_in_transaction_session_timeout": longest,
        "statement_timeout": longest and longest * STATEMENT_SHARE,
        "lock_timeout": lock_timeout,
    }
    return "; ".join(f"SET LOCAL {name} = {int(s * 1_000)}" for name, s in seconds.items() if s)


def _state(error: Exception) -> str:
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def describe(conninfo: dict[str, Any]) -> str:
    """`host:port/name` for messages; no user, no password."""
    host = conninfo.get("host") or conninfo.get("hostaddr") or "local socket"
    return f"{host}:{conninfo.get('port', 5432)}/{conninfo.get('dbname', '')}"


def host_of(connection: Connection) -> str:
    """The host that a connection really leads to; a path for a socket of this machine."""
    info = driver(connection).info
    return str(info.hostaddr or info.host)


def driver(connection: Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.driver_connection


def parameters(url: str) -> dict[str, Any]:
    """What a URL says to libpq, by libpq's names. UsageError for one that it cannot read."""
    try:
        given = conninfo_to_dict(check_database_url(url))
    except (psycopg.Error, ValueError):
        # libpq's message repeats parts of the URL, the password among them.
        raise UsageError(
            "bad setting DATABASE_URL: PostgreSQL's library cannot read this URL",
            hint="expected postgresql://user:password@host:5432/name, special characters percent-encoded",
        ) from None
    if "," in str(given.get("host", "")):
        # Of several servers a standby may be the first; nothing here is of use on one that takes no writes.
        given.setdefault("target_session_attrs", "read-write")
    return given
