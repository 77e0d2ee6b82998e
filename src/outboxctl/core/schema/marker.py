"""The schema's revision, and the environment marker: checked by every command.

`db upgrade` writes it once, `db mark` changes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outboxctl.core.operator import audit
from outboxctl.core.schema.names import HEAD, MARKER, VERSION
from outboxctl.core.sql import Connection, text
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.settings import variable_of

if TYPE_CHECKING:
    from outboxctl.core.database import Database

MIGRATED = text(f"SELECT to_regclass('{VERSION}') IS NOT NULL")
REVISION = text(f"SELECT version_num FROM {VERSION}")
READ = text(f"SELECT environment FROM {MARKER}")
EXISTS = text(f"SELECT to_regclass('{MARKER}') IS NOT NULL")
WRITE = text(f"INSERT INTO {MARKER} (environment) VALUES (:environment) ON CONFLICT DO NOTHING")
READ_LOCKED = text(f"SELECT environment FROM {MARKER} FOR UPDATE")
CHANGE = text(f"""
INSERT INTO {MARKER} (environment) VALUES (:environment)
ON CONFLICT (singleton) DO UPDATE SET environment = excluded.environment, written_at = now()
""")


def current(connection: Connection) -> str | None:
    """The schema's revision, None before the first upgrade."""
    if not connection.execute(MIGRATED).scalar():
        return None
    revision: str | None = connection.execute(REVISION).scalar()
    return revision


def read(connection: Connection) -> str | None:
    """The marker, None where none was ever written."""
    marker = connection.execute(READ).scalar()
    return None if marker is None else str(marker)


def read_if_any(connection: Connection) -> str | None:
    """The marker; None also where the schema is not there yet."""
    return read(connection) if connection.execute(EXISTS).scalar() else None


def write(connection: Connection, environment: str) -> None:
    """Write the marker unless there is one."""
    connection.execute(WRITE, {"environment": environment})


def change(
    connection: Connection, environment: str, *, by: str, reason: str
) -> tuple[str | None, str | None]:
    """Mark the database as `environment`, with an audit row in the caller's transaction.

    Returns the marker before, and the id of the audit row; None where the marker does not change.
    """
    before = connection.execute(READ_LOCKED).scalar()
    if before == environment:
        return before, None
    connection.execute(CHANGE, {"environment": environment})
    filters = {"before": before, "after": environment}
    return before, audit.record(connection, "mark", by=by, reason=reason, filters=filters, ids=[])


def check(connection: Connection, environment: str | None, name: str) -> None:
    """Raise UsageError if the marker is another environment than the setting."""
    marked = read(connection)
    if environment and marked and marked != environment:
        setting = variable_of("environment")
        raise UsageError(
            f"{setting} is {environment}, but the database {name} is marked {marked}",
            hint="one of DATABASE_URL, this setting and the marker is wrong; "
            f"the marker is changed by `outboxctl db mark {environment} --by YOU --reason WHY`",
        )


def check_revision(connection: Connection, name: str) -> None:
    """Raise UsageError unless the schema is the one that this program needs."""
    revision = connection.execute(REVISION).scalar()
    if revision != HEAD:
        raise UsageError(
            f"the schema in {name} is at revision {brief(str(revision), 40)}, not {HEAD}",
            hint="run `outboxctl db upgrade`; where the schema is newer, upgrade outboxctl",
        )


def check_if_any(connection: Connection, environment: str | None, name: str) -> None:
    """The same, also where the schema is not there yet."""
    if connection.execute(EXISTS).scalar():
        check(connection, environment, name)


@contextmanager
def checked(database: "Database", environment: str | None) -> Iterator[Connection]:
    """A transaction on a database with the newest schema, whose marker does not contradict `environment`."""
    with database.begin() as connection:
        check_revision(connection, database.name)
        check(connection, environment, database.name)
        yield connection
