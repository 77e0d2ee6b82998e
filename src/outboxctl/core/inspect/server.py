"""The server and the connection to it: version, clock, durability, connections left; bounded reads."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import TypeVar

import psycopg

from outboxctl.core.conninfo import DEFAULTS, addresses, parameters
from outboxctl.core.database import Database
from outboxctl.core.database_errors import translate
from outboxctl.core.server_roles import ServerAnswer, ask_all
from outboxctl.core.sql import Connection, text
from outboxctl.domain.errors import OutboxctlError, RefusedError

SERVER = text("""
SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
    pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only')::boolean AS read_only,
    current_setting('default_transaction_isolation') AS isolation,
    current_setting('fsync')::boolean AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('autovacuum')::boolean AS autovacuum, current_setting('server_encoding') AS encoding,
    quote_ident(current_database()) AS database, quote_ident(current_user) AS role
""")
SOURCES = text("SELECT name, source FROM pg_settings WHERE source IN ('user', 'database user')")
CLOCK = text("SELECT extract(epoch FROM clock_timestamp())::float8")
# A limit of a role or a database is -1 where there is none; a superuser is bound by neither.
# This session is added: a worker would open its own.
CONNECTIONS = text("""
SELECT least(
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    CASE WHEN r.rolsuper OR d.datconnlimit < 0 THEN NULL ELSE d.datconnlimit - (
        SELECT count(*) FROM pg_stat_activity a
        WHERE a.datid = d.oid AND a.backend_type = 'client backend') END,
    CASE WHEN r.rolsuper OR r.rolconnlimit < 0 THEN NULL ELSE r.rolconnlimit - (
        SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid) END
)::int + 1
FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()
""")


@dataclass(frozen=True)
class ServerFacts:
    """Settings and state of the server; `database` and `role` are those of this session, quoted for SQL.

    `sources`: settings made for our role (`user`), or for it in this database (`database user`).
    `clock_ahead`: seconds that its clock is ahead of ours, plus or minus half of `round_trip` seconds.
    `connections_left`: how many more this role may open.
    """

    number: int
    version: str
    standby: bool
    read_only: bool
    isolation: str
    fsync: bool
    synchronous_commit: str
    autovacuum: bool
    encoding: str
    database: str
    role: str
    sources: dict[str, str]
    clock_ahead: float
    round_trip: float
    connections_left: int


def server(connection: Connection) -> ServerFacts:
    """Read the server's facts."""
    facts = connection.execute(SERVER).one()._asdict()
    before = time()
    server_time = connection.execute(CLOCK).scalar_one()
    after = time()
    sources: dict[str, str] = dict(connection.execute(SOURCES).all())
    left = connection.execute(CONNECTIONS).scalar_one()
    ahead = server_time - (before + after) / 2
    return ServerFacts(
        **facts, sources=sources, clock_ahead=ahead, round_trip=after - before, connections_left=left
    )


BACKEND_PID = "SELECT pg_catalog.pg_backend_pid()"


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


def servers(url: str) -> list[ServerAnswer]:
    """What each server of a URL that names several says of itself; nothing of a single one."""
    values = DEFAULTS | parameters(url)
    return ask_all(values) if len(addresses(values)) > 1 else []


def shares_sessions(database: Database) -> bool:
    """Whether a pooler gives our server session to others between transactions.

    One connection reads the id of its server process, a second one holds a transaction open, the first reads
    again: behind a pooler in transaction mode either the second has the first one's process, or the first
    has another one by now. RefusedError where no second connection can be made.
    """
    try:
        with database.apart() as first:
            before = _backend(first)
            with database.apart() as second, second.transaction():
                return _backend(second) == before or _backend(first) != before
    except OutboxctlError as error:
        raise RefusedError(str(error)) from None


def _backend(session: psycopg.Connection) -> int:
    row = session.execute(BACKEND_PID).fetchone()
    return int(row[0]) if row else 0


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
    except psycopg.Error as error:
        if connection.closed:
            raise
        raise RefusedError(str(translate(error, name))) from None
