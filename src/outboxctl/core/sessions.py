"""Sessions of this database, for drills: end them, make new ones read-only, identify our own."""

from outboxctl.core.sql import Connection, text

# All outboxctl sessions have the same application_name (`outboxctl`, or the URL's).
TERMINATE = text("""
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND (:everybody OR application_name = current_setting('application_name'))
""")
# The server hides what the sessions of other logins are; it does not hide that they are there.
HIDDEN = text("""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND usename IS NOT NULL AND backend_type IS NULL
""")
OWN = text("""
SELECT pid, extract(epoch FROM backend_start)::float8 FROM pg_stat_activity WHERE pid = pg_backend_pid()
""")


def terminate(connection: Connection, *, everybody: bool) -> int:
    """End the sessions of all other outboxctl processes, or of `everybody`; returns how many."""
    return int(connection.execute(TERMINATE, {"everybody": everybody}).scalar_one())


def hidden(connection: Connection) -> int:
    """How many sessions of this database are of logins whose sessions this one may not see."""
    return int(connection.execute(HIDDEN).scalar_one())


def own(connection: Connection) -> tuple[int, float]:
    """The server process of this session, and when it began, in seconds since the epoch."""
    pid, began = connection.execute(OWN).one()
    return int(pid), float(began)


ALTER = text("SELECT format('ALTER DATABASE %I ' || :change, current_database())")
ON, DEFAULT = "SET default_transaction_read_only = on", "RESET default_transaction_read_only"


def set_read_only(connection: Connection, *, on: bool) -> None:
    """Make transactions of new sessions read-only, as after a failover to a standby; or reset that.

    Must be the first statement of its transaction. UsageError where the role does not own the database.
    """
    connection.exec_driver_sql("SET TRANSACTION READ WRITE")  # this session may be read-only itself
    statement = connection.execute(ALTER, {"change": ON if on else DEFAULT}).scalar_one()
    connection.exec_driver_sql(statement)
