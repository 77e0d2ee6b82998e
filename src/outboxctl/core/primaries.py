"""Sessions by one URL; of several servers libpq finds one that takes writes, timelines tell an old primary.

After a failover the old primary may go on, or resume, and take writes as before; its timeline is lower than
that of the promoted server.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from threading import RLock
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg

from outboxctl.core.conninfo import (
    DEFAULTS,
    ServerAddress,
    addresses,
    at,
    describe,
    parameters,
    wants_primary,
)
from outboxctl.core.database_errors import public_cause, sqlstate
from outboxctl.core.opening import check_tls, connected
from outboxctl.core.projections.version_base import HIDDEN
from outboxctl.domain.errors import OutboxctlError, UnreachableError, UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.redaction import redact
from outboxctl.net.deadline import GUARD, shut

FIRST_SECONDS = 10.0  # that the first statements of a session may take
LONGEST = 2  # seconds that a server may take which is asked beside the one in use
LEFT_BEHIND = "a primary was left behind by a failover"
# The session has its login's search path: everything by its full name.
IDENTIFIER = "SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()"
TIMELINE = "SELECT pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)"


class Primary(NamedTuple):
    """A server that takes writes; identifier and timeline are None where it hides them, or is a standby."""

    address: ServerAddress
    identifier: str | None = None
    timeline: int | None = None

    def __str__(self) -> str:
        """For messages."""
        return f"{self.address} (timeline {self.timeline})" if self.timeline else str(self.address)

    def behind(self, other: "Primary | None") -> bool:
        """Whether the other server of this history was promoted after it."""
        known = other and other.timeline and self.timeline and other.identifier == self.identifier
        return bool(known and other and (self.timeline or 0) < (other.timeline or 0))


class Move(NamedTuple):
    """Sessions go to another server from now on."""

    left: Primary
    now: Primary


class Sessions:
    """Opens sessions by one URL, which `renew` may renew. Thread-safe.

    Of several servers at one that takes writes, and at none that was left behind by a failover, unless the
    URL asks for something else. The server in use is tried first; once it is another one, the sessions at all
    others are cut off, so that nothing more is written there.
    """

    def __init__(self, url: str, renew: Callable[[], str] | None = None) -> None:
        self._renew = renew
        self._values = DEFAULTS | parameters(url)
        check_tls(self._values)
        self.name = describe(self._values)
        self._lock = RLock()
        self._used: Primary | None = None
        self._moves: list[Move] = []
        self._sessions: WeakKeyDictionary[psycopg.Connection, ServerAddress] = WeakKeyDictionary()

    def open(self) -> psycopg.Connection:
        """A new session. Raises an error of psycopg, or UntrustedError or UnreachableError."""
        if self._renew:
            with suppress(UsageError):  # a file that is half written: the old URL may still be valid
                self._values = DEFAULTS | parameters(self._renew())
        values = self._values
        return self._at_primary(values) if wants_primary(values) else connected(values)

    def name_of(self, session: Any) -> str:
        """`host:port/name` of the server that a session is at."""
        address = self._sessions.get(session)
        return describe(at(self._values, address)) if address else self.name

    def look(self) -> list[Move]:
        """Of several servers look for a newer primary than the one in use; the moves since last time."""
        values, used = self._values, self._used
        if not wants_primary(values):
            return []
        self._newer(values, [each for each in addresses(values) if used and each != used.address])
        with self._lock:
            moves, self._moves = self._moves, []
        return moves

    def _at_primary(self, values: Mapping[str, Any]) -> psycopg.Connection:
        first, named, old = self._used is None, self._in_order(values), None
        while named:
            try:
                session = connected(at(values, *named))
            except psycopg.OperationalError as error:
                if old:
                    break
                raise _nobody(error) from None
            there = _primary(session, named)
            if self._use(there, session):
                # Those before it were tried just now.
                if first and self._newer(values, named[named.index(there.address) + 1 :]):
                    session.close()
                    return self._at_primary(values)
                return session
            session.close()
            old = there
            named.remove(there.address)
        text = f"{old} was left behind by a failover to {self._used}"
        raise UnreachableError(text, hint="start the newer one", public=LEFT_BEHIND)

    def _newer(self, values: Mapping[str, Any], others: Sequence[ServerAddress]) -> bool:
        """Whether one of the others is a newer primary, which is used from now on."""
        with suppress(psycopg.Error, OutboxctlError):  # none of them takes writes
            if others:
                with closing(connected(at({**values, "connect_timeout": LONGEST}, *others))) as session:
                    there = _primary(session, others)
                return bool(self._used and self._used.behind(there) and self._use(there))
        return False

    def _in_order(self, values: Mapping[str, Any]) -> list[ServerAddress]:
        """The one in use first: another one that is silent would be waited for by each session."""
        used = self._used
        return sorted(addresses(values), key=lambda each: not used or each != used.address)

    def _use(self, there: Primary, session: psycopg.Connection | None = None) -> bool:
        """Use this server from now on, unless it was left behind."""
        with self._lock:
            used = self._used
            if there.behind(used):
                return False
            self._used = there
            if session:
                self._sessions[session] = there.address
            if used and used.address != there.address:
                self._moves.append(Move(used, there))
                self._cut_off_all_others()
            return True

    def _cut_off_all_others(self) -> None:
        for session, address in self._sessions.items():
            if self._used and address != self._used.address:
                with suppress(psycopg.Error, OSError):  # closed meanwhile
                    shut(session.fileno())


def _nobody(error: psycopg.Error) -> UnreachableError:
    """That no server can be used, and why: psycopg tries one after the other, and has a line for each."""
    lines = str(error).splitlines()
    why = [line.removeprefix("- ") for line in lines if line.startswith("- host")] or lines[:1]
    return UnreachableError(
        f"no server of DATABASE_URL takes writes: {brief(redact('; '.join(why)), 600)}",
        hint="check DATABASE_URL, and that one of its servers is a primary",
        public=f"no server takes writes: {'; '.join(dict.fromkeys(map(public_cause, why)))}",
    )


def _primary(session: psycopg.Connection, named: Sequence[ServerAddress]) -> Primary:
    """The server of a new session, of those that were named."""
    here = session.info.host, session.info.port
    address = next((a for a in named if (a.host or a.hostaddr, int(a.port or 5432)) == here), named[0])
    session.autocommit = True
    with GUARD.over(FIRST_SECONDS) as watch:
        watch.descriptor = session.fileno
        timeline, identifier = _value(session, TIMELINE), _value(session, IDENTIFIER)
    session.autocommit = False
    return Primary(address, identifier, int(timeline, 16) if timeline else None)


def _value(session: psycopg.Connection, query: str) -> Any:
    """The value of a query; None where the server hides it, or is a standby."""
    try:
        row = session.execute(query.encode()).fetchone()
    except psycopg.Error as error:
        if sqlstate(error) in HIDDEN:
            return None
        raise
    return row[0] if row else None
