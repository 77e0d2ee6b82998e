"""What each of several PostgreSQL servers says of itself: does it take writes, and of which history is it."""

import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg

from outboxctl.core import tls
from outboxctl.core.conninfo import ANY, ServerAddress, addresses, at
from outboxctl.core.database_errors import sqlstate, translate
from outboxctl.core.projections.server_identity import HIDDEN
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError, UnreachableError
from outboxctl.net.deadline import GUARD

LONGEST = 2.0  # seconds that a server may take to answer; the least that libpq bounds a connection by
# The session has its login's search path: everything by its full name. No function of another schema hides
# an operator's, as OR has none.
READS_ONLY = """SELECT pg_catalog.pg_is_in_recovery()
    OR pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool"""
IDENTIFIER = "SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()"
TIMELINE = "SELECT pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)"


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


def patience(values: Mapping[str, Any]) -> float:
    """Seconds that a server is waited for where none has answered: `connect_timeout`, LONGEST at least."""
    try:
        return max(LONGEST, float(values.get("connect_timeout") or LONGEST))
    except ValueError:
        return LONGEST


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
    session = psycopg.connect(**one, autocommit=True, prepare_threshold=None)
    with closing(session), GUARD.over(longest) as watch:
        watch.descriptor = session.fileno
        if _value(session, READS_ONLY):
            return ServerRole(address, writable=False)
        timeline, identifier = _value(session, TIMELINE), _value(session, IDENTIFIER)
    return ServerRole(address, True, identifier, int(timeline, 16) if timeline else None)


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
