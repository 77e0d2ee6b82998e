"""Opening sessions at PostgreSQL: at the right one of several servers, and with texts of any encoding."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.string import StrDumperUnknown

from outboxctl.core import tls
from outboxctl.core.conninfo import DEFAULTS, at, describe, parameters, wants_primary
from outboxctl.core.primaries import FIRST_SECONDS, Move, PrimarySessions, connected
from outboxctl.domain.errors import UsageError
from outboxctl.net.deadline import GUARD

WAITING = {"on", "remote_write", "remote_apply"}  # of synchronous_commit: COMMIT waits for a standby, if any


class SessionOpener:
    """Opens sessions by one URL, which `renew` may renew. Thread-safe.

    Of several servers a primary is used (`PrimarySessions`), unless the URL asks for something else.
    """

    def __init__(self, url: str, renew: Callable[[], str] | None) -> None:
        self._renew = renew
        self._values = DEFAULTS | parameters(url)
        tls.check(self._values)
        self.name = describe(self._values)
        self._primaries = PrimarySessions()

    def open(self) -> psycopg.Connection:
        """A new session. Raises an error of psycopg, or UntrustedError or UnreachableError."""
        if self._renew:
            with suppress(UsageError):  # a file that is half written: the old URL may still be valid
                self._values = DEFAULTS | parameters(self._renew())
        values = self._values
        session = self._primaries.open(values) if wants_primary(values) else connected(values)
        if session.info.parameter_status("server_encoding") == "SQL_ASCII":
            with GUARD.over(FIRST_SECONDS) as watch:
                watch.descriptor = session.fileno
                _accept_any_bytes(session)
        return session

    def name_of(self, session: Any) -> str:
        """`host:port/name` of the server that a session is at."""
        address = self._primaries.address_of(session)
        return describe(at(self._values, address)) if address else self.name

    def look(self) -> list[Move]:
        """Of several servers look for a newer primary; the moves since last time."""
        return self._primaries.look(self._values) if wants_primary(self._values) else []


def commits_wait(session: psycopg.Connection) -> bool:
    """Whether a COMMIT of a session in autocommit waits for a synchronous standby, if there is one."""
    row = session.execute("SHOW synchronous_commit").fetchone()
    return bool(row and row[0] in WAITING)


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
