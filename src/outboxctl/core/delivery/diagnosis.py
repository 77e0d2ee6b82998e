"""Queries after a delivery: who holds a lock, whether a COMMIT took effect, which documents are newer."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from outboxctl.core.message import send
from outboxctl.core.schema.names import EVENTS, PLAN, SOURCE
from outboxctl.core.sql import Connection, Row, text
from outboxctl.domain.printable import brief

# Table locks that conflict with a worker's statements. Nothing here opens the tables: that would wait.
TABLE_LOCKER = text(f"""
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
# pg_locks has no row locks: a row's xmax is the transaction that locks it, and that transaction holds a lock
# on its own id. (A row that several share has a multixact as xmax, which is not found.)
ROW_LOCKER = text(f"""
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

    `table`: the table that it has locked. What our role may not see is None. Texts are printable.
    """

    pid: int
    application: str | None
    seconds: float | None
    prepared: str | None = None
    table: str | None = None

    def __str__(self) -> str:
        """For messages: what identifies it in pg_stat_activity or pg_prepared_xacts."""
        since = "" if self.seconds is None else f", {self.seconds:.0f} s in its transaction"
        if self.prepared is not None:
            return f"the prepared transaction {self.prepared!r}{since}"
        return f"pid {self.pid} ({self.application or 'no name'}{since})"


def table_locker(connection: Connection) -> Locker | None:
    """Who has locked the table of events, a partition of it, or the source; None if nobody has."""
    return _locker(connection.execute(TABLE_LOCKER).first())


def row_locker(connection: Connection, ids: Collection[str]) -> Locker | None:
    """Who has locked one of these events the longest; None if nobody has, or it cannot be read."""
    connection.exec_driver_sql(PLAN)
    return _locker(connection.execute(ROW_LOCKER, {"ids": list(ids)}).first())


def _locker(row: Row | None) -> Locker | None:
    if row is None:
        return None
    pid, application, seconds, prepared, table = tuple(row)
    return Locker(
        pid, application and brief(application, 60), seconds, prepared and brief(prepared, 60), table
    )


TRANSACTION_ID = text("SELECT pg_current_xact_id()::text")
# An id that this server has not assigned yet is another server's: a failover has lost the transaction.
FATE = text("""
SELECT CASE WHEN CAST(:transaction AS xid8) < pg_current_xact_id()
    THEN pg_xact_status(CAST(:transaction AS xid8)) END
""")


class Fate(StrEnum):
    """The status of a transaction, in the server's words (pg_xact_status)."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    IN_PROGRESS = "in progress"


def commit_fate(connection: Connection, transaction: str) -> Fate:
    """The status of a transaction whose COMMIT got no answer; ABORTED also where the server has none of it.

    The server keeps it at least as long as old row versions (PostgreSQL manual from version 13, "Transaction
    ID and Snapshot Information Functions").
    """
    return Fate(connection.execute(FATE, {"transaction": transaction}).scalar() or Fate.ABORTED)


UNCHANGED = text(f"""
SELECT e.id::text FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) sent (id, version)
JOIN {EVENTS} e ON e.id = sent.id
JOIN {SOURCE} s ON s.entity_type = e.entity_type AND s.entity_id = e.entity_id
WHERE s.event_version = sent.version
""")


def index_ahead(connection: Connection, sent: Mapping[str, int]) -> set[str]:
    """The events (id to source version sent) that met a newer document although their source is unchanged.

    A source row with a newer version explains the conflict. An unchanged one is older than its document: an
    entity recreated with versions that start again, or another writer to the index.
    """
    if not sent:
        return set()
    values = {"ids": list(sent), "versions": list(sent.values())}
    # A settle before it may have left only a hash join: of whole tables here.
    ((rows, _),) = send(connection, PLAN, (UNCHANGED, values))
    return {id_ for (id_,) in rows}
