"""Log lines of expanded changes: one line a followed table, at most every few seconds."""

import threading
from collections import defaultdict

import structlog

from outboxctl.core.projections.follow_tables import FollowedTable
from outboxctl.domain.clock import monotonic
from outboxctl.domain.projection import DOCUMENTS, EVERYTHING, Projection

log = structlog.get_logger()
EVERY = 10.0  # seconds between two lines of one table


class ExpandedLog:
    """Adds up what was expanded; any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        self._next: dict[tuple[str, str], float] = defaultdict(float)

    def add(self, table: FollowedTable, projection: Projection | None, changes: int, documents: int) -> None:
        """So many changes of rows of this table were expanded to so many documents."""
        with self._lock:
            sums = self._sums[table.projection, name_of(table, projection)]
            sums[0] += changes
            sums[1] += documents
        self.write()

    def write(self, *, all_: bool = False) -> None:
        """Write the lines that are due; with `all_` every one."""
        now = monotonic()
        with self._lock:
            keys = [key for key in self._sums if all_ or self._next[key] <= now]
            self._next.update(dict.fromkeys(keys, now + EVERY))
            lines = [(key, self._sums.pop(key)) for key in keys]
        for key, (changes, documents) in lines:
            log.info(
                "changes were expanded",
                projection=key[0],
                table=key[1],
                changes=changes,
                documents=documents,
            )


def name_of(table: FollowedTable, projection: Projection | None) -> str:
    """The followed table's name, as far as it is known."""
    if table.place == EVERYTHING:
        return "every document"
    if table.place == DOCUMENTS and projection:
        return str(projection.root)
    followed = projection.follow[table.place : table.place + 1] if projection else ()
    return str(followed[0].table) if followed else f"place {table.place}"
