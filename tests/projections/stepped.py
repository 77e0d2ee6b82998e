"""Workers in this process that take one step at a time, with declarations and indexes of their own."""

from collections import defaultdict
from contextlib import suppress

from outboxctl.core.database import Database
from outboxctl.domain.flow.index_state import IndexState
from outboxctl.domain.projection import Projection
from outboxctl.settings import load
from outboxctl.worker.wiring import WorkerParts
from projections.memory_index import MemoryIndex
from worker_parts import no_ping

SETTINGS = {"max_attempts": 5, "base_backoff_seconds": 0.01, "max_backoff_seconds": 0.01}


class Indexes(defaultdict[str, MemoryIndex]):
    """All indexes by name; `pipelines` are those that documents were sent through, by index."""

    def __init__(self) -> None:
        super().__init__(MemoryIndex)
        self.pipelines: dict[str, str] = {}

    def of(self, projection: Projection) -> MemoryIndex:
        """The index of a declaration."""
        self.pipelines[projection.index] = projection.pipeline
        return self[projection.index]


class SteppedWorker:
    """A worker without threads."""

    def __init__(self, url: str, indexes: Indexes) -> None:
        self.database = Database(url, connections=3)
        settings = load(database_url=url, **SETTINGS)
        built_in = indexes["built-in"]
        self.parts = WorkerParts(settings, self.database, built_in, sink_of=indexes.of, ping=no_ping)
        # Full batches from the first one on: what is sent is counted.
        flow = self.parts.flow
        flow._state = lambda name: flow._indexes.get(name) or IndexState()  # type: ignore[method-assign]
        self._lane = self.parts.lane(drain=True)

    def deliver(self) -> bool:
        """Claim and deliver a batch; whether there was one."""
        self.parts.expander._unfinished.clear()  # as at the end of its turn: else it is waited for
        return self._lane._turn()  # one turn of its thread

    def expand(self) -> bool:
        """Write half a page of a follow event; whether there was one."""
        return self.parts.expander.step()

    def work(self) -> None:
        """Until nothing is due."""
        with suppress(StopIteration):
            while self.expand() or self.deliver():
                pass
