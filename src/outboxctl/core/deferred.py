"""What opens a transaction travels with its first statement: on a network each message costs its delay."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection

# In the execution options of a Connection, which end with it: what is still to be sent, and what was put off.
KEY, WHOLE = "outboxctl_opening", "outboxctl_opening_whole"
SETTINGS = {"BEGIN", "SET", "COMMIT"}  # statements without an answer that anybody needs


class StatementResult(NamedTuple):
    """The rows of one statement, and how many rows it returned or changed."""

    rows: list[Any]
    size: int


def put_off(connection: Connection, opening: str, *, sent: bool = False) -> None:
    """Have the next message begin with these statements. Without a next one there is no transaction.

    `sent`: the transaction is open already, and what comes `after_commit` begins with them.
    """
    connection.execution_options(**{KEY: "" if sent else opening, WHOLE: opening})


def after_commit(connection: Connection) -> None:
    """The transaction is over: whatever is sent now is in another one, with the same limits."""
    connection.execution_options(**{KEY: connection.get_execution_options().get(WHOLE, "")})


def take(connection: Connection) -> str:
    """The statements that were put off, for the caller to send them; empty where there are none."""
    opening: str = connection.get_execution_options().get(KEY, "")
    if opening:
        connection.execution_options(**{KEY: ""})
    return opening


def open_now(connection: Connection) -> None:
    """Send what was put off in a message of its own."""
    if opening := take(connection):
        exchange(connection, opening)


def open_first(
    connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    """Open the transaction before its first statement (an engine's `before_cursor_execute`)."""
    open_now(connection)
    return statement, parameters


def exchange(
    connection: Connection, message: str, values: Mapping[str, Any] | None = None
) -> list[StatementResult]:
    """Send one message of several statements; the answers of all but BEGIN, SET and COMMIT.

    The driver writes the values into it, quoted. It is a simple query and no pipeline: every libpq can send
    it, and a pooler in transaction mode passes it on. Raises psycopg.Error where a statement fails; those
    after it were not executed.
    """
    session: Any = connection.connection.driver_connection
    try:
        with psycopg.ClientCursor(session) as cursor:
            cursor.execute(message, values)
            return [*_answers(cursor)]
    except psycopg.Error as error:
        if session.closed:
            connection.invalidate(error)  # the pool gives it to nobody else
        raise


def _answers(cursor: psycopg.ClientCursor[Any]) -> Iterator[StatementResult]:
    more: bool | None = True
    while more:
        if cursor.statusmessage not in SETTINGS:
            yield StatementResult(cursor.fetchall() if cursor.description else [], cursor.rowcount)
        more = cursor.nextset()
