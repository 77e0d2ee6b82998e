"""Changing the schema beside those who use it: who waits for a table's lock holds up all who come after."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from sqlalchemy import Connection, text

from outboxctl.core.database import Database
from outboxctl.core.schema.names import TABLES
from outboxctl.core.search_path import places
from outboxctl.domain.errors import LockedError
from outboxctl.domain.printable import brief

T = TypeVar("T")
PATIENCE = 60.0  # seconds until it is given up
PAUSE = 1.0  # seconds between two tries: time for those who queued behind ours
KEY = 7_316_108_409_001  # advisory: two changes at once run one after the other
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(:key)")
# Below the server's deadlock_timeout (1 s): where we and an application's transaction wait for each other,
# it is we who give way.
BRIEFLY = "SET LOCAL lock_timeout = '500ms'"
IN_THE_WAY = text("""
SELECT a.pid, a.application_name, extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.granted AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL AND a.datname = current_database()
    AND (l.relation IN (SELECT to_regclass(t) FROM unnest(CAST(:tables AS text[])) t)
        OR l.locktype = 'advisory' AND l.objsubid = 1
            AND (CAST(l.classid AS bigint) << 32) + CAST(l.objid AS bigint) = :key)
ORDER BY a.xact_start LIMIT 1
""")


def patiently(
    database: Database, act: Callable[[Connection], T], *, patience: float, told: Callable[[str], None]
) -> T:
    """Run `act` in a transaction that waits half a second for a lock, again and again for `patience` seconds.

    A long transaction of somebody else's (a dump, a forgotten `BEGIN`) would else hold us up, and behind us
    every writer of the application. `told` hears who is in the way. Raises LockedError in the end.
    """
    end = monotonic() + patience
    while True:
        try:
            with database.begin() as connection:
                connection.exec_driver_sql(BRIEFLY)
                connection.execute(ONE_AT_A_TIME, {"key": KEY})
                return act(connection)
        except LockedError:
            who = _blockers(database)
            if monotonic() + PAUSE > end:
                raise LockedError(
                    f"{who}, and was waited for in vain for {patience:g} s; nothing was changed",
                    hint="let it end, or end it with pg_terminate_backend, and try again",
                ) from None
        told(f"{who}: trying again")
        sleep(PAUSE)


def _blockers(database: Database) -> str:
    with database.begin() as connection:
        names = [places(connection).name(table) for table in TABLES]
        found = connection.execute(IN_THE_WAY, {"tables": names, "key": KEY}).first()
    if found is None:
        return f"somebody holds a table in {database.name}"
    name = brief(found.application_name, 60) or "no name"
    return f"pid {found.pid} ({name}), {found.seconds:.0f} s in its transaction, holds a table of the outbox"
