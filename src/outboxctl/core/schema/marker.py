"""The schema's revision, and the environment marker: checked by every command.

`db upgrade` writes it once, `db mark` changes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from outboxctl.core.operator import audit
from outboxctl.core.schema.names import HEAD, VERSION
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text
from outboxctl.core.tables import MARKER
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.settings import variable_of

if TYPE_CHECKING:
    from outboxctl.core.database import Database

EXISTS = text("SELECT to_regclass(:table) IS NOT NULL")
REVISION = text(f"SELECT version_num FROM {VERSION}")
MARKED = select(MARKER.c.environment)


def current(connection: Connection) -> str | None:
    """The schema's revision, None before the first upgrade."""
    return connection.execute(REVISION).scalar() if _is_there(connection, VERSION) else None


def read(connection: Connection) -> str | None:
    """The marker; None where none was ever written, and where the schema is not there yet."""
    return connection.execute(MARKED).scalar() if _is_there(connection, MARKER.name) else None


def _is_there(connection: Connection, table: str) -> bool:
    return bool(connection.execute(EXISTS, {"table": places(connection).name(table)}).scalar())


def write(connection: Connection, environment: str) -> None:
    """Write the marker unless there is one."""
    new = insert(MARKER).values(environment=environment)
    connection.execute(new.on_conflict_do_nothing())


def change(
    connection: Connection, environment: str, *, by: str, reason: str
) -> tuple[str | None, str | None]:
    """Mark the database as `environment`, with an audit row in the caller's transaction.

    Returns the marker before, and the id of the audit row; None where the marker does not change.
    """
    before = connection.execute(MARKED.with_for_update()).scalar()
    if before == environment:
        return before, None
    row = {"environment": environment, "written_at": func.now()}
    new = insert(MARKER).values(row)
    connection.execute(new.on_conflict_do_update(index_elements=[MARKER.c.singleton], set_=row))
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


@contextmanager
def checked(database: "Database", environment: str | None) -> Iterator[Connection]:
    """A transaction on a database with the newest schema, whose marker does not contradict `environment`."""
    with database.begin() as connection:
        check_revision(connection, database.name)
        check(connection, environment, database.name)
        yield connection
