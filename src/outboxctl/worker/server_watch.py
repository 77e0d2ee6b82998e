"""What a worker learns of the servers around its database: another primary, a standby that is missing."""

import structlog

from outboxctl.core.database import Connection, Database
from outboxctl.core.inspect.standbys import synchronous_standbys
from outboxctl.domain.clock import monotonic

log = structlog.get_logger()
INTERVAL = 5.0  # seconds between two looks


class ServerWatch:
    """One thread calls both methods."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next_look = self._next_count = 0.0
        self._missing = 0

    def follow_primary(self) -> None:
        """Of several servers use the newest primary, and log where that is another one now."""
        if monotonic() < self._next_look:
            return
        for move in self._database.look():
            log.warning(
                "the worker left a PostgreSQL server: another one is the primary",
                left=str(move.left),
                now=str(move.now),
            )
        self._next_look = monotonic() + INTERVAL

    def count_standbys(self, connection: Connection) -> None:
        """Log that applications wait for a standby, so that no event comes from them; and that it is over."""
        if monotonic() < self._next_count:
            return
        standbys = synchronous_standbys(connection)
        if standbys.missing and not self._missing:
            log.warning(
                "applications wait at COMMIT: a synchronous standby is away",
                synchronous_standby_names=standbys.names,
                missing=standbys.missing,
                hint="deliveries go on with what is committed",
            )
        elif self._missing and not standbys.missing:
            log.info("the synchronous standbys are back")
        self._missing = standbys.missing
        self._next_count = monotonic() + INTERVAL
