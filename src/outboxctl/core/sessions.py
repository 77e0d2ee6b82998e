"""Sessions of this database: ended by the server, and our own."""

from sqlalchemy import Connection, text

# Ours know each other by the name that the settings give them all (`outboxctl`, or the URL's own).
TERMINATE = text("""
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND (:everybody OR application_name = current_setting('application_name'))
""")
OWN = text("""
SELECT pid, extract(epoch FROM backend_start)::float8 FROM pg_stat_activity WHERE pid = pg_backend_pid()
""")


def terminate(connection: Connection, *, everybody: bool) -> int:
    """End the sessions of all other outboxctl processes, or of `everybody`; returns how many."""
    return int(connection.execute(TERMINATE, {"everybody": everybody}).scalar_one())


def own(connection: Connection) -> tuple[int, float]:
    """The server's process of this very session, and when it began, in seconds since the epoch."""
    pid, began = connection.execute(OWN).one()
    return int(pid), float(began)
