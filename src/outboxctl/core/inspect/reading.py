"""One question to the database, which may be refused without spoiling the next."""

from collections.abc import Callable
from typing import TypeVar

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from outboxctl.core.database import translate
from outboxctl.domain.errors import RefusedError

Fact = TypeVar("Fact")
LONGEST = 5_000  # milliseconds that one question may take, or wait for somebody's lock


def read_only(connection: Connection) -> None:
    """Have the server itself refuse every change, and every long wait, in this transaction."""
    connection.exec_driver_sql(
        f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {LONGEST}; SET LOCAL lock_timeout = 1000"
    )


def read_or_refuse(connection: Connection, name: str, read: Callable[[Connection], Fact]) -> Fact:
    """What `read` reads, under a savepoint. RefusedError if the server answers, but not this.

    A lost connection is raised as it is, for `Database.begin` to say.
    """
    try:
        with connection.begin_nested():
            return read(connection)
    except (SQLAlchemyError, psycopg.Error) as error:
        if connection.invalidated:
            raise
        raise RefusedError(str(translate(error, name))) from None
