"""Our session and transaction as SQLAlchemy's, which alembic needs; nothing else in this program does."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection

logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())  # what it logs is raised, too


class LentSession:
    """A session of the driver whose transaction is its lender's: SQLAlchemy can neither set nor end it."""

    autocommit, isolation_level = True, None

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        """All else is the session's."""
        return getattr(self._session, name)

    def commit(self) -> None:
        """Leave the transaction open."""

    rollback = close = commit


@contextmanager
def lent(connection: Connection) -> Iterator[sqlalchemy.Connection]:
    """A connection of SQLAlchemy in the transaction of ours, for the block. Raises psycopg.Error."""
    connection.open_now()
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: LentSession(connection.session),
        poolclass=NullPool,
        use_native_hstore=False,  # it would look for the type
    )
    render = places(connection).render

    def qualified(_one: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> tuple[str, Any]:
        return render(statement), values

    sqlalchemy.event.listen(engine, "before_cursor_execute", qualified, retval=True)
    try:
        with engine.begin() as borrowed:
            yield borrowed
    except DBAPIError as error:
        raise error.orig or error from error
