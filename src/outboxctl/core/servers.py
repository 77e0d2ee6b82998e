"""Several PostgreSQL servers in one URL: all are asked at once, and the newest primary is used.

After a failover the old primary may live on, or wake, and take writes as before: nothing tells it. Its
timeline is lower than the promoted one's, by which a process that sees both knows it (docs/adr/0050).
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg

from outboxctl.core import tls
from outboxctl.core.conninfo import ANY, ServerAddress, addresses, at
from outboxctl.core.database_errors import sqlstate, translate
from outboxctl.core.projections.server_identity import HIDDEN
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError, UnreachableError, UntrustedError
from outboxctl.net.deadline import GUARD

LONGEST = 2.0  # seconds that a server may take to answer; the least that libpq bounds a connection by
# The session has its login's search path: everything by its full name. No function of another schema hides
# an operator's, as OR has none.
READS_ONLY = """SELECT pg_catalog.pg_is_in_recovery()
    OR pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool"""
IDENTIFIER = "SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()"
TIMELINE = "SELECT pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)"
LEFT_BEHIND = "a primary was left behind by a failover"
HINT = "check DATABASE_URL, and that one of its servers is a primary"


@dataclass(frozen=True)
class ServerRole:
    """What a server says of itself.

    `identifier` and `timeline` tell histories apart; None where the server hides them or takes no writes.
    """

    address: ServerAddress
    writable: bool
    identifier: str | None = None
    timeline: int | None = None

    def __str__(self) -> str:
        """For messages."""
        return f"{self.address} (timeline {self.timeline})" if self.timeline else str(self.address)

    def left_behind(self, newest: "ServerRole | None") -> bool:
        """Whether another server of this history was promoted after it."""
        return bool(newest and self.timeline and newest.timeline and self.timeline < newest.timeline)


class ServerAnswer(NamedTuple):
    """A server's role, or why it could not be asked."""

    address: ServerAddress
    role: ServerRole | None
    error: OutboxctlError | None = None


class ServerMove(NamedTuple):
    """Sessions go to another server from now on."""

    left: ServerRole
    now: ServerRole


def ask_all(values: Mapping[str, Any], *, longest: float = LONGEST) -> list[ServerAnswer]:
    """What each server of these parameters says, in their order; all are asked at once."""
    named = addresses(values)
    answers: dict[ServerAddress, ServerAnswer] = {}
    threads = [
        threading.Thread(target=_answer, args=(values, each, longest, answers), daemon=True) for each in named
    ]
    for thread in threads:
        thread.start()
    end = monotonic() + 2 * longest  # later only where the look-up of a name hangs
    for thread in threads:
        thread.join(max(0.0, end - monotonic()))
    return [answers.get(each) or _silent(each) for each in named]


def ask(values: Mapping[str, Any], address: ServerAddress, *, longest: float = LONGEST) -> ServerRole:
    """What this server says. Raises an error of psycopg or tls where it does not answer in time."""
    one = {name: value for name, value in at(values, address).items() if name != ANY}
    one["connect_timeout"] = str(int(max(longest, LONGEST)))
    with closing(psycopg.connect(**one, autocommit=True, prepare_threshold=None)) as session:
        with GUARD.over(longest) as watch:
            watch.descriptor = session.fileno
            if _value(session, READS_ONLY):
                return ServerRole(address, writable=False)
            timeline, identifier = _value(session, TIMELINE), _value(session, IDENTIFIER)
    return ServerRole(address, True, identifier, int(timeline, 16) if timeline else None)


class ServerChoice:
    """The server that sessions are opened at: the primary with the highest timeline seen so far.

    Thread-safe. Of several that are equal, or hide their timelines, the one in use stays.
    """

    def __init__(self) -> None:
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._chosen: ServerRole | None = None
        self._doubtful = True  # all servers are asked before the next session
        self._newest: dict[str, ServerRole] = {}  # by system identifier
        self._asked = 0  # how often all servers were asked
        self._answers: Sequence[ServerAnswer] = ()

    def address(self, values: Mapping[str, Any]) -> tuple[ServerAddress, ServerMove | None]:
        """The server to connect to, and the move to it. UnreachableError where none can be used."""
        move = None
        if (chosen := self._known(values)) is None:
            move = self.look(values)
            chosen = self._known(values)
        if chosen is None:
            raise self._error()
        return chosen.address, move

    def doubt(self) -> None:
        """Ask again before the next session: connecting has failed."""
        self._doubtful = True

    def uses(self, address: ServerAddress) -> bool:
        """Whether sessions belong to this server now."""
        chosen = self._chosen
        return bool(chosen and chosen.address == address)

    def look(self, values: Mapping[str, Any]) -> ServerMove | None:
        """Ask all servers, unless another thread does just now; the move, where another one is used now."""
        before = self._asked
        with self._asking:
            if self._asked == before:
                self._answers = ask_all(values)
                self._asked += 1
                return self._decide()
        return None

    def _known(self, values: Mapping[str, Any]) -> ServerRole | None:
        chosen = self._chosen
        usable = chosen and not self._doubtful and chosen.address in addresses(values)
        return chosen if usable else None

    def _decide(self) -> ServerMove | None:
        roles = [answer.role for answer in self._answers if answer.role and answer.role.writable]
        for role in roles:
            if role.identifier and not role.left_behind(self._newest.get(role.identifier)):
                self._newest[role.identifier] = role
        usable = [role for role in roles if not self._behind(role)]
        before = self._chosen
        self._doubtful = not usable and bool(before is None or self._doubtful or self._behind(before))
        if not usable:
            return None
        same = [role for role in usable if before and role.address == before.address]
        self._chosen = now = (same or usable)[0]
        return ServerMove(before, now) if before and not same else None

    def _behind(self, role: ServerRole) -> bool:
        return role.left_behind(self._newest.get(role.identifier or ""))

    def _error(self) -> OutboxctlError:
        errors = [answer.error for answer in self._answers if answer.error]
        if untrusted := next((error for error in errors if isinstance(error, UntrustedError)), None):
            return untrusted
        texts, public = zip(*(self._why(answer) for answer in self._answers), strict=True)
        return UnreachableError(
            f"no server of DATABASE_URL takes writes: {'; '.join(texts)}",
            hint=HINT,
            public=f"no server takes writes: {'; '.join(dict.fromkeys(public))}",
        )

    def _why(self, answer: ServerAnswer) -> tuple[str, str]:
        """Why a server is not used: for the log, and for the probes."""
        if answer.error:
            return str(answer.error), answer.error.public
        role = answer.role
        newest = self._newest.get((role and role.identifier) or "")
        if role and role.left_behind(newest):
            return f"{role} was left behind by a failover to {newest}", LEFT_BEHIND
        return f"{answer.address}: the server is read-only", "the server is read-only"


def _answer(
    values: Mapping[str, Any],
    address: ServerAddress,
    longest: float,
    answers: dict[ServerAddress, ServerAnswer],
) -> None:
    name = str(address)
    try:
        answers[address] = ServerAnswer(address, ask(values, address, longest=longest))
    except psycopg.Error as error:
        explained = tls.explained(error, at(values, address), name) or translate(error, name)
        answers[address] = ServerAnswer(address, None, explained)


def _silent(address: ServerAddress) -> ServerAnswer:
    text = "no answer in time"
    return ServerAnswer(address, None, UnreachableError(f"{address}: {text}", public=text))


def _value(session: psycopg.Connection, query: str) -> Any:
    """The value of a query; None where the server hides it."""
    try:
        row = session.execute(query.encode()).fetchone()
    except psycopg.Error as error:
        if sqlstate(error) in HIDDEN:
            return None
        raise
    return row[0] if row else None
