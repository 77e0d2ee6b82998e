"""Schema changes while the tables are in use: who waits for a table lock blocks all later transactions."""

from collections.abc import Callable, Collection
from time import monotonic, sleep
from typing import TypeVar

from outboxctl.core.database import Database
from outboxctl.core.schema.names import OIDS, REBUILDS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.clock import LOCK_SECONDS
from outboxctl.domain.errors import LockedError
from outboxctl.domain.printable import brief

T = TypeVar("T")
PATIENCE = 60.0  # seconds until the change is given up
PAUSE = 1.0  # seconds between two tries: time for those who queued behind ours
# Two changes at once run one after the other. The lock is for who may change rows of that table; it stops
# neither these changes nor whoever reads. Any login may take an advisory one: only the first upgrade does.
LOCK = f"LOCK TABLE {REBUILDS} IN SHARE UPDATE EXCLUSIVE MODE"
IS_THERE = text(f"SELECT to_regclass('{REBUILDS}') IS NOT NULL")
KEY = 7_316_108_409_001
TAKE_ADVISORY_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
SHORT_LOCK_TIMEOUT = f"SET LOCAL lock_timeout = {LOCK_SECONDS * 1_000:.0f}"
# Of tables that are not ours writers alone are waited for: a trigger is made, or the columns that it watches
# change.
BLOCKER = text(f"""
WITH others AS (
    SELECT to_regclass(t)::oid AS relid FROM unnest(CAST(:others AS text[])) t
    UNION SELECT p.relid FROM unnest(CAST(:others AS text[])) t, pg_partition_tree(to_regclass(t)) p
)
SELECT a.pid, a.usename, a.application_name, o.relid::regclass::text AS held,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
LEFT JOIN others o ON o.relid = l.relation AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
WHERE l.granted AND a.pid <> pg_backend_pid() AND a.datname = current_database()
    AND (o.relid IS NOT NULL OR l.relation IN ({OIDS})
        OR l.locktype = 'advisory' AND l.objsubid = 1
            AND (CAST(l.classid AS bigint) << 32) + CAST(l.objid AS bigint) = :key)
ORDER BY l.mode <> 'ShareUpdateExclusiveLock', a.xact_start LIMIT 1
""")


def with_lock_retries(
    database: Database,
    act: Callable[[Connection], T],
    *,
    patience: float,
    report: Callable[[str], object],
    tables: Collection[str] = (),
) -> T:
    """Run `act` in a transaction that waits half a second for a lock, repeated for `patience` seconds.

    To wait longer behind a long transaction (a dump, a forgotten `BEGIN`) would block every writer of the
    application. `report` is called with what holds a lock on a table of the outbox, or a writer's on one of
    `tables`, which are names as SQL has them. Raises LockedError in the end.
    """
    end = monotonic() + patience
    while True:
        try:
            with database.begin() as connection:
                connection.exec_driver_sql(SHORT_LOCK_TIMEOUT)
                if connection.execute(IS_THERE).scalar():
                    connection.execute(text(LOCK))
                else:
                    connection.execute(TAKE_ADVISORY_LOCK, {"key": KEY})
                return act(connection)
        except LockedError:
            blocker = _blocker(database, tables)
            if monotonic() + PAUSE > end:
                raise LockedError(
                    f"{blocker}, and did not end within {patience:g} s; nothing was changed",
                    hint="let it end, or end it with pg_terminate_backend, and try again",
                ) from None
        report(f"{blocker}: trying again")
        sleep(PAUSE)


def _blocker(database: Database, others: Collection[str]) -> str:
    with database.begin() as connection:
        row = connection.execute(BLOCKER, {"others": list(others), "key": KEY}).first()
    if row is None:
        return f"a session holds a table in {database.name}"
    name = f"{brief(row.usename or '', 70)} ({brief(row.application_name, 60) or 'no name'})"
    held = brief(row.held, 140) if row.held else "a lock of the outbox"
    since = "" if row.seconds is None else f", {row.seconds:.0f} s in its transaction,"  # hidden, or in none
    return f"pid {row.pid}, {name}{since} holds {held}"
