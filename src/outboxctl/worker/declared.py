"""The projections in force, as a worker has read them: again every second, for all lanes.

What is kept here may be out of date. So each statement that reads documents compares it with what is in
force in its own snapshot (`documents.read`), and the claim of a follow event does.
"""

import threading

from outboxctl.core.database import Database
from outboxctl.core.projections import in_force
from outboxctl.domain.clock import monotonic
from outboxctl.domain.projection import Projection
from outboxctl.metrics.registry import Metrics

FRESH = 0.8  # seconds: an `apply` is taken up within one


class Declared:
    """Thread-safe: one lane reads for all, the others wait for it."""

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database, self._metrics = database, metrics
        self._lock = threading.Lock()
        self._projections: dict[str, Projection] = {}
        self._read_at = float("-inf")

    def get(self, name: str) -> Projection | None:
        """The projection of this name as it was at most a second ago; None if none is in force now.

        Raises OutboxctlError for a database that cannot be read.
        """
        with self._lock:
            if name not in self._projections or monotonic() - self._read_at > FRESH:
                self._read()
            return self._projections.get(name)

    def again(self, name: str) -> Projection | None:
        """As `get`, as it is now."""
        with self._lock:
            self._read()
            return self._projections.get(name)

    def _read(self) -> None:
        began = monotonic()
        with self._database.begin() as connection:
            read = in_force.read(connection)
        for each in read:
            self._metrics.declare(each.name)
        self._projections, self._read_at = {each.name: each for each in read}, began
