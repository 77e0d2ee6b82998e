"""Sessions of this database, to be ended in a drill."""

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


def terminate(connection: Connection, *, everybody: bool) -> int:
    """End the sessions of all other outboxctl processes, or of `everybody`; returns how many."""
    return int(connection.execute(TERMINATE, {"everybody": everybody}).scalar_one())


def hidden(connection: Connection) -> int:
    """How many sessions of this database are of logins whose sessions this one may not see."""
    return int(connection.execute(HIDDEN).scalar_one())
