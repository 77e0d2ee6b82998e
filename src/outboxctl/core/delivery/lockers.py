"""Who holds a lock that we could not get: asked afterwards, from another session, without waiting."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, text

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.domain.printable import brief

# Locks of a table that no worker's statement goes along with. Nothing here opens the tables: that would wait.
TABLE = text(f"""
WITH RECURSIVE tables (id) AS (
    SELECT CAST('{EVENTS}'::regclass AS oid)
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN tables t ON i.inhparent = t.id
)
SELECT coalesce(l.pid, 0), a.application_name,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8, NULL,
    (SELECT c.relname::text FROM pg_class c WHERE c.oid = l.relation)
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.mode = 'AccessExclusiveLock' AND l.relation = '{SOURCE}'::regclass
        OR l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
            AND l.relation IN (SELECT id FROM tables))
ORDER BY a.xact_start LIMIT 1
""")
# pg_locks has no locks of rows: a row's xmax is the transaction that locks it, and that transaction holds a
# lock of itself. (Of several that share a row the xmax is a set, which is not found.)
ROWS = text(f"""
SELECT coalesce(l.pid, 0), a.application_name,
    extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8, p.gid, NULL
FROM {EVENTS} e
JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = e.xmax
LEFT JOIN pg_stat_activity a USING (pid)
LEFT JOIN pg_prepared_xacts p ON l.pid IS NULL AND p.transaction = l.transactionid
WHERE e.id = ANY (CAST(:ids AS uuid[]))
ORDER BY 3 DESC NULLS LAST LIMIT 1
""")


@dataclass(frozen=True)
class Locker:
    """A session (`pid`) or prepared transaction (pid 0) that holds a lock, `seconds` in its transaction.

    `table` is what it holds as a whole. What our role may not see is None. Texts are cleaned.
    """

    pid: int
    application: str | None
    seconds: float | None
    prepared: str | None = None
    table: str | None = None

    def __str__(self) -> str:
        """For messages: what to look for in pg_stat_activity or pg_prepared_xacts."""
        since = "" if self.seconds is None else f", {self.seconds:.0f} s in its transaction"
        if self.prepared is not None:
            return f"the prepared transaction {self.prepared!r}{since}"
        return f"pid {self.pid} ({self.application or 'no name'}{since})"


def of_table(connection: Connection) -> Locker | None:
    """Who holds the table of events, a partition of it, or the source as a whole; None if nobody does."""
    row = connection.execute(TABLE).first()
    return None if row is None else _locker(*row)


def of_rows(connection: Connection, ids: Collection[str]) -> Locker | None:
    """Who has held one of these events the longest; None where that cannot be known, or nobody does."""
    connection.exec_driver_sql(PLAN)
    row = connection.execute(ROWS, {"ids": list(ids)}).first()
    return None if row is None else _locker(*row)


def _locker(
    pid: int, application: str | None, seconds: float | None, prepared: str | None, table: str | None
) -> Locker:
    return Locker(
        pid, application and brief(application, 60), seconds, prepared and brief(prepared, 60), table
    )
