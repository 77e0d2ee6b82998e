"""The server and the connection to it: version, encoding, state; bounded reads."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError

from outboxctl.core.conninfo import addresses, parameters
from outboxctl.core.database_errors import translate
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.transaction import lost
from outboxctl.domain.errors import RefusedError, UsageError

MIN_POSTGRES = 140_000  # the oldest release whose TID range scans read a table by pages
ENCODING = "UTF8"

SERVER = text("""
SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
    pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only')::boolean AS read_only,
    current_setting('default_transaction_isolation') AS isolation,
    quote_ident(current_database()) AS database, quote_ident(current_user) AS role,
    getdatabaseencoding() AS encoding
""")


@dataclass(frozen=True)
class ServerFacts:
    """Settings and state of the server; `database` and `role` are those of this session, quoted for SQL."""

    number: int
    version: str
    standby: bool
    read_only: bool
    isolation: str
    database: str
    role: str
    encoding: str


def server(connection: Connection) -> ServerFacts:
    """Read the server's facts."""
    return ServerFacts(**connection.execute(SERVER).one()._asdict())


def require_supported(connection: Connection, name: str) -> None:
    """Raise UsageError unless the server is new enough and the database's encoding is UTF8."""
    found = server(connection)
    if found.number < MIN_POSTGRES:
        raise UsageError(
            f"the database {name} is on PostgreSQL {found.version}: upgrade the server to 14 or newer"
        )
    if found.encoding != ENCODING:
        raise UsageError(
            f"the database {name} has the encoding {found.encoding}: copy it with pg_dump into a database"
            f" that is created with ENCODING '{ENCODING}' TEMPLATE template0"
        )


@dataclass(frozen=True)
class ConnectionLink:
    """Hosts and sslmode as libpq uses them; its default is `prefer`."""

    hosts: tuple[str, ...]
    sslmode: str


def connection_link(url: str) -> ConnectionLink:
    """Hosts and sslmode of a URL, or of libpq's variables. UsageError for a URL that libpq cannot read."""
    values = parameters(url)
    hosts = (each.host or each.hostaddr for each in addresses(values))
    mode = str(values.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer")
    return ConnectionLink(tuple(filter(None, hosts)), mode)


Fact = TypeVar("Fact")
LONGEST = 5_000  # milliseconds that one statement may take


def read_only(connection: Connection) -> None:
    """Make the server refuse every change and every long statement in this transaction."""
    connection.exec_driver_sql(
        f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {LONGEST}; SET LOCAL lock_timeout = 1000"
    )


def read_or_refuse(connection: Connection, name: str, read: Callable[[Connection], Fact]) -> Fact:
    """The result of `read`, under a savepoint. RefusedError for an error of the server.

    The error of a lost connection is raised as it is, for `Database.begin` to translate.
    """
    try:
        with connection.begin_nested():
            return read(connection)
    except (psycopg.Error, DBAPIError) as error:
        if lost(connection):
            raise
        raise RefusedError(str(translate(error, name))) from None
