"""What opens a transaction travels with its first statement: on a network each message costs its delay."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

# Statements without an answer that anybody needs.
SETTINGS = {"BEGIN", "SET", "COMMIT", "PREPARE", "DEALLOCATE ALL"}
KEY = "outboxctl.state"  # in the `info` of a connection, which lives as long as its session


class StatementResult(NamedTuple):
    """The rows of one statement, and how many rows it returned or changed."""

    rows: list[Any]
    size: int


@dataclass
class SessionState:
    """What is known of a session, which is in autocommit: we send BEGIN ourselves, with more.

    `whole`: what a transaction begins with; `opening`: the same until it was sent, with the first message.
    Without a message there is no transaction.
    """

    opening: str = ""
    whole: str = ""


def state(connection: Connection) -> SessionState:
    """What is known of a connection's session."""
    found: SessionState = connection.info.setdefault(KEY, SessionState())
    return found


def session(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's own connection."""
    found: psycopg.Connection[Any] = connection.connection.dbapi_connection  # type: ignore[assignment]
    return found


def lost(connection: Connection) -> bool:
    """Whether the session is lost."""
    return connection.invalidated or session(connection).closed


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit what the block does, or roll it back. Where it does nothing there is no transaction."""
    connection.begin()
    try:
        yield
    except (Exception, GeneratorExit):
        with suppress(SQLAlchemyError):  # a session that cannot is not used again
            connection.rollback()
        raise
    except BaseException:
        connection.invalidate()  # the process ends: no more waiting for the server, which rolls back itself
        raise
    connection.commit()


@contextmanager
def undone(connection: Connection) -> Iterator[None]:
    """A savepoint that is rolled back at the end, whatever happens."""
    savepoint = connection.begin_nested()
    try:
        yield
    finally:
        savepoint.rollback()


def take_opening(connection: Connection) -> str:
    """The statements that were put off, for the caller to send them; empty where there are none."""
    known = state(connection)
    opening, known.opening = known.opening, ""
    return opening


def open_now(connection: Connection) -> None:
    """Send what was put off in a message of its own."""
    if opening := take_opening(connection):
        exchange(connection, opening)


def exchange(
    connection: Connection, message: str, values: Mapping[str, Any] | None = None
) -> list[StatementResult]:
    """Send one message of several statements; the answers of all but SETTINGS.

    The driver writes the values into it, quoted. It is a simple query and no pipeline: every libpq can
    send it, and a pooler in transaction mode passes it on. Raises psycopg.Error where a statement fails;
    those after it were not executed.
    """
    with psycopg.ClientCursor(session(connection)) as cursor:
        cursor.execute(message.encode(), values)
        return [*_answers(cursor)]


def _answers(cursor: psycopg.ClientCursor[Any]) -> Iterator[StatementResult]:
    more: bool | None = True
    while more:
        if cursor.statusmessage not in SETTINGS:
            # Not `cursor.description`: an object for each column takes longer than reading a row.
            result = cursor.pgresult
            rows = cursor.fetchall() if result and result.nfields else []
            yield StatementResult(rows, cursor.rowcount)
        more = cursor.nextset()
