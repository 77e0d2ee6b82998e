"""The environment marker: what kind of database this is, said once, checked by every command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from outboxctl.core.schema import MARKER
from outboxctl.errors import UsageError

if TYPE_CHECKING:
    from outboxctl.core.database import Database

READ = text(f"SELECT environment FROM {MARKER}")
EXISTS = text("SELECT to_regclass(:table) IS NOT NULL")
WRITE = text(f"INSERT INTO {MARKER} (environment) VALUES (:environment) ON CONFLICT DO NOTHING")


def read(connection: Connection) -> str | None:
    """The marker, None where none was ever written."""
    found = connection.execute(READ).scalar()
    return None if found is None else str(found)


def read_if_any(connection: Connection) -> str | None:
    """The marker; None also where the schema is not there yet."""
    return read(connection) if connection.execute(EXISTS, {"table": MARKER}).scalar() else None


def write(connection: Connection, environment: str) -> None:
    """Write the marker unless there is one."""
    connection.execute(WRITE, {"environment": environment})


def check(connection: Connection, environment: str | None, name: str) -> None:
    """Raise UsageError if the database says that it is another environment than the setting."""
    marked = read(connection)
    if environment and marked and marked != environment:
        raise UsageError(
            f"OUTBOX_ENV is {environment}, but the database {name} is marked {marked}",
            hint="check DATABASE_URL and OUTBOX_ENV: one of them points to the wrong place",
        )


@contextmanager
def checked(database: "Database", environment: str | None) -> Iterator[Connection]:
    """A transaction on a database whose marker does not contradict `environment`."""
    with database.begin() as connection:
        check(connection, environment, database.name)
        yield connection
