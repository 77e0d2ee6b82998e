"""The server: its version, its clock, what it promises, and how many connections are left."""

from dataclasses import dataclass
from time import time

from sqlalchemy import Connection, text

from outboxctl.core.schema import marker

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
# This very session is not counted: a worker would open its own.
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
    """What the server says of itself; `database` and `role` are our own, quoted for SQL.

    `sources`: settings made for our role (`user`), or for it in this database (`database user`).
    `clock_ahead`: seconds that its clock is ahead of ours, give or take half of `round_trip` seconds.
    `connections_left`: how many more this role may open, a worker's own included.
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
    theirs = connection.execute(CLOCK).scalar_one()
    after = time()
    sources: dict[str, str] = dict(connection.execute(SOURCES).all())
    left = connection.execute(CONNECTIONS).scalar_one()
    ahead = theirs - (before + after) / 2
    return ServerFacts(
        **facts, sources=sources, clock_ahead=ahead, round_trip=after - before, connections_left=left
    )


def marked(connection: Connection) -> str | None:
    """The environment marker; None where there is none, or no table for it."""
    return marker.read_if_any(connection)
