"""Opening sessions at PostgreSQL: at the right one of several servers, and with texts of any encoding."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.string import StrDumperUnknown

from outboxctl.core import tls
from outboxctl.core.conninfo import DEFAULTS, ServerAddress, at, describe, parameters, wants_primary
from outboxctl.core.servers import ServerChoice, ServerMove
from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.net.deadline import GUARD, shut

WAITING = {"on", "remote_write", "remote_apply"}  # of synchronous_commit: COMMIT waits for a standby, if any
FIRST_SECONDS = 10.0  # that the first statement of a session may take
TRIES = 3  # servers that a session is opened at: the one in use may fail, and another be chosen meanwhile


class SessionOpener:
    """Opens sessions by one URL, which `renew` may renew. Thread-safe.

    Of several servers a primary is used (`ServerChoice`), unless the URL asks for something else. Once that
    is another one, `moved` is called and the sessions at all others are cut off.
    """

    def __init__(self, url: str, renew: Callable[[], str] | None, *, moved: Callable[[], None]) -> None:
        self._renew, self._moved = renew, moved
        self._values = DEFAULTS | parameters(url)
        tls.check(self._values)
        self.name = describe(self._values)
        self._choice = ServerChoice()
        self._lock = Lock()
        self._sessions: WeakKeyDictionary[psycopg.Connection, ServerAddress] = WeakKeyDictionary()
        self._moves = deque[ServerMove]()

    def open(self) -> psycopg.Connection:
        """A new session. Raises an error of psycopg, or UntrustedError or UnreachableError."""
        if self._renew:
            with suppress(UsageError):  # a file that is half written: the old URL may still be valid
                self._values = DEFAULTS | parameters(self._renew())
        values = self._values
        session = self._at_primary(values) if wants_primary(values) else _connected(values)
        if session.info.parameter_status("server_encoding") == "SQL_ASCII":
            with GUARD.over(FIRST_SECONDS) as watch:
                watch.descriptor = session.fileno
                _accept_any_bytes(session)
        return session

    def name_of(self, session: Any) -> str:
        """`host:port/name` of the server that a session is at."""
        address = self._sessions.get(session)
        return describe(at(self._values, address)) if address else self.name

    def look(self) -> list[ServerMove]:
        """Ask all servers which to use; the moves since last time."""
        if wants_primary(self._values):
            self._follow(self._choice.look(self._values))
        with self._lock:
            moves = list(self._moves)
            self._moves.clear()
        return moves

    def _at_primary(self, values: dict[str, Any]) -> psycopg.Connection:
        for tried in range(TRIES):
            address, move = self._choice.address(values)
            self._follow(move)
            try:
                session = _connected(at(values, address))
            except (psycopg.OperationalError, UnreachableError):
                self._choice.doubt()
                if tried == TRIES - 1:
                    raise
                continue
            with self._lock:
                self._sessions[session] = address
            if self._choice.uses(address):
                return session
            session.close()
        raise UnreachableError(f"the servers of {self.name} change their roles: none was used")

    def _follow(self, move: ServerMove | None) -> None:
        """Leave all other servers: nothing more is written there by the sessions that are open."""
        if move is None:
            return
        with self._lock:
            self._moves.append(move)
            old = [session for session, at_ in self._sessions.items() if not self._choice.uses(at_)]
        for session in old:
            with suppress(psycopg.Error, OSError):  # closed meanwhile
                shut(session.fileno())
        self._moved()


def commits_wait(session: psycopg.Connection) -> bool:
    """Whether a COMMIT of a session that did nothing yet waits for a synchronous standby, if there is one."""
    session.autocommit = True  # one message, without a transaction around it
    row = session.execute("SHOW synchronous_commit").fetchone()
    session.autocommit = False
    return bool(row and row[0] in WAITING)


def _connected(values: dict[str, Any]) -> psycopg.Connection:
    try:
        # Nothing is prepared: the session may sit behind a pooler in transaction mode.
        return psycopg.connect(**values, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise tls.explained(error, values, describe(values)) or error from None


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
