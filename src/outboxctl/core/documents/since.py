"""What has changed in the outbox since a moment: what was not yet visible then, whatever its clock says.

`updated_at` is when a transaction began, not when it was seen: by that alone, what was read shortly before
would have to be read again each time.
"""

from datetime import datetime
from typing import Any, NamedTuple

from outboxctl.core.sql import Connection, text

SERVER = "CAST(extract(epoch FROM pg_postmaster_start_time()) AS text)"
# A transaction that goes on at another database of the server writes no event of ours. Locks are read after
# the snapshot: one that has ended in between, or has no lock yet, is taken for ours.
ELSEWHERE = """SELECT FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    JOIN pg_database d ON d.oid = a.datid
    WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
        AND l.transactionid = CAST(x AS xid) AND d.datname <> current_database()"""
POSITION = text(f"""
SELECT now(), CAST(coalesce((
    SELECT x FROM pg_snapshot_xip(s) x WHERE NOT EXISTS ({ELSEWHERE}) ORDER BY x LIMIT 1
), pg_snapshot_xmax(s)) AS text), {SERVER}
FROM pg_current_snapshot() s
""")
# Whether an event `e` may have been written or changed after the snapshot of the position `seen`. Every
# transaction below its `oldest` had ended then, and with it each of its subtransactions, whose numbers are
# higher than its own. `pg_visible_in_snapshot` knows no subtransactions, and would call one that goes on
# visible. Numbers say nothing at another server, or after a restart, which may give numbers anew that were
# never written to disk: then the time alone counts. They are compared by their age, since they wrap around.
MOVED = f"""(CAST(:seen AS text) IS NULL OR CAST(:server AS text) IS DISTINCT FROM {SERVER}
    OR age(e.xmin) <= age(CAST(CAST(CAST(:seen AS text) AS xid8) AS xid)))"""


class Position(NamedTuple):
    """A snapshot: its moment, the oldest transaction that went on (the next, if none), its server's start."""

    moment: datetime
    oldest: str
    server: str


class Since(NamedTuple):
    """What counts as changed: events from `moment` on that may not have been visible at the position `seen`.

    Where the row is gone, events from `gone` on, whether they were visible or not. A `seen` holds as long as
    a session that was open before it is open at the same server.
    """

    moment: datetime
    gone: datetime
    seen: Position | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of MOVED, `since` and `gone_since` (None: rows that are gone count as others)."""
        oldest, server = self.seen[1:] if self.seen else (None, None)
        gone = self.gone if self.gone < self.moment else None
        return {"since": self.moment, "gone_since": gone, "seen": oldest, "server": server}


def position(connection: Connection) -> Position:
    """The position of a statement's snapshot: what is read after it sees at least as much."""
    return Position(*connection.execute(POSITION).one())
