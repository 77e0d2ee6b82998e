"""Sessions of this database, ended by the server."""

from sqlalchemy import Connection, text

# Ours know each other by the name that the settings give them all (`outboxctl`, or the URL's own).
TERMINATE = text("""
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND (:everybody OR application_name = current_setting('application_name'))
""")


def terminate(connection: Connection, *, everybody: bool) -> int:
    """End the sessions of all other outboxctl processes, or of `everybody`; returns how many."""
    return int(connection.execute(TERMINATE, {"everybody": everybody}).scalar_one())
