"""A database that takes no writes, as after a failover to a standby."""

from sqlalchemy import Connection, text

ALTER = text("SELECT format('ALTER DATABASE %I ' || :change, current_database())")
ON, DEFAULT = "SET default_transaction_read_only = on", "RESET default_transaction_read_only"


def set_read_only(connection: Connection, *, on: bool) -> None:
    """Have every session that connects from now on begin read-only transactions; or no longer.

    Must be the first of its transaction. UsageError where the role does not own the database.
    """
    connection.exec_driver_sql("SET TRANSACTION READ WRITE")  # this session may be such a one itself
    statement = connection.execute(ALTER, {"change": ON if on else DEFAULT}).scalar_one()
    connection.exec_driver_sql(statement)
