"""A connection, and its transaction: what opens it travels with its first statement.

On a network each message costs its delay.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus

from outboxctl.core.sql.places import UNKNOWN
from outboxctl.core.sql.result import Result
from outboxctl.core.sql.statement import TextClause

SETTINGS = {"BEGIN", "SET", "COMMIT"}  # statements without an answer that anybody needs
CURSORS = count()


class StatementResult(NamedTuple):
    """The rows of one statement, and how many rows it returned or changed."""

    rows: list[Any]
    size: int


class Connection:
    """A session of the driver, in autocommit: we send BEGIN ourselves, with more.

    Every statement raises psycopg.Error where it fails. `places`: the schemas of our tables, for whoever has
    looked for them to set; `info`: what else is known of the session.
    """

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        session.autocommit = True
        self.session = session
        self.places = UNKNOWN
        self.info: dict[str, Any] = {}
        self._opening = self._whole = ""

    @property
    def closed(self) -> bool:
        """Whether it is lost, or was closed."""
        return self.session.closed

    @property
    def idle(self) -> bool:
        """Whether it is in no transaction."""
        return self.session.info.transaction_status == TransactionStatus.IDLE

    def execute(
        self,
        statement: TextClause,
        parameters: Mapping[str, Any] | None = None,
        *,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Result:
        """Execute a statement.

        With the option `yield_per` (or `stream_results` and `max_row_buffer`) its rows stay in a cursor of
        the server, from which so many at once are fetched.
        """
        options = execution_options or {}
        size = options.get("yield_per") or options.get("max_row_buffer") or 0
        return self._execute(statement.query, parameters or {}, size)

    def exec_driver_sql(
        self, query: str, parameters: Mapping[str, Any] | Sequence[Any] = (), *, at_once: int = 0
    ) -> Result:
        """Execute statements in the driver's form: `%s` or `%(name)s`, and `%%` for a percent sign.

        With `at_once` the rows of one statement stay in a cursor, as with `yield_per`.
        """
        return self._execute(query, parameters, at_once)

    def _execute(self, query: str, parameters: Mapping[str, Any] | Sequence[Any], size: int) -> Result:
        self.open_now()
        cursor = self._streaming(size) if size else self.session.cursor()
        cursor.execute(self.places.render(query).encode(), parameters)
        return Result(cursor)

    def _streaming(self, size: int) -> psycopg.Cursor[Any]:
        cursor = self.session.cursor(f"outboxctl_{next(CURSORS)}")
        cursor.itersize = size
        return cursor

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block does, or roll it back. Where it does nothing there is no transaction."""
        try:
            yield
        except (Exception, GeneratorExit):
            self.rollback()
            raise
        except BaseException:
            self.close()  # the process ends: no more waiting for the server, which rolls back by itself
            raise
        self.session.commit()

    def rollback(self) -> None:
        """Roll back, unless there is no transaction; a session that cannot is not used again."""
        with suppress(psycopg.Error):
            self.session.rollback()

    def close(self) -> None:
        """Close the session."""
        self.session.close()

    def begin_nested(self, *, force_rollback: bool = False) -> AbstractContextManager[Any]:
        """A savepoint for the block, rolled back where it raises an error, or in any case."""
        self.open_now()
        return self.session.transaction(force_rollback=force_rollback)

    def put_off(self, opening: str, *, sent: bool = False) -> None:
        """Have the next message begin with these statements. Without a next one there is no transaction.

        `sent`: the transaction is open already, and what comes `after_commit` begins with them.
        """
        self._opening, self._whole = "" if sent else opening, opening

    def after_commit(self) -> None:
        """The transaction is over: whatever is sent now is in another one, with the same limits."""
        self._opening = self._whole

    def take_opening(self) -> str:
        """The statements that were put off, for the caller to send them; empty where there are none."""
        opening, self._opening = self._opening, ""
        return opening

    def open_now(self) -> None:
        """Send what was put off in a message of its own."""
        if opening := self.take_opening():
            self.exchange(opening)

    def exchange(self, message: str, values: Mapping[str, Any] | None = None) -> list[StatementResult]:
        """Send one message of several statements; the answers of all but BEGIN, SET and COMMIT.

        The driver writes the values into it, quoted. It is a simple query and no pipeline: every libpq can
        send it, and a pooler in transaction mode passes it on. Raises psycopg.Error where a statement fails;
        those after it were not executed.
        """
        with psycopg.ClientCursor(self.session) as cursor:
            cursor.execute(message.encode(), values)
            return [*_answers(cursor)]


def _answers(cursor: psycopg.ClientCursor[Any]) -> Iterator[StatementResult]:
    more: bool | None = True
    while more:
        if cursor.statusmessage not in SETTINGS:
            yield StatementResult(cursor.fetchall() if cursor.description else [], cursor.rowcount)
        more = cursor.nextset()
