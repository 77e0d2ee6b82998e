"""What a worker learns of the servers around its database: that another one is the primary now."""

import structlog

from outboxctl.core.database import Database
from outboxctl.domain.clock import monotonic

log = structlog.get_logger()
INTERVAL = 5.0  # seconds between two looks


class ServerWatch:
    """Used by one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next_look = 0.0

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
