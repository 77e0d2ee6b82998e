"""Facts about a PostgreSQL server and the outbox in it, for `doctor`: catalog views only, nothing written."""
