"""What is looked at while it storms: versions of documents, memory and connections of a worker."""

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

import psutil
import psycopg

from engines.node import Node
from invariants import versions
from storm.fleet import Fleet
from storm.looking import Looking

INTERVAL = 0.2  # seconds between two looks
AT_MOST = 8  # connections of a worker: one a lane and six; for a moment also those that were just cut off
CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s
"""


@dataclass
class VersionLooks:
    """At the versions in an engine of one node. A document's version there never falls."""

    engine: Node
    index: str
    ids: Sequence[str]
    steps_back: list[str] = field(default_factory=list)
    _highest: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """Once."""
        for id_, version in versions(self.engine, self.index, [*self.ids]).items():
            highest = self._highest.setdefault(id_, version)
            if version < highest:
                self.steps_back.append(f"{id_} from {highest} to {version}")
            self._highest[id_] = max(highest, version)


@dataclass
class Watch:
    """Looks again and again, and at the worker that lives on.

    One reader, one request after the other: what it sees of a document is in the order of time.
    """

    url: str
    documents: VersionLooks
    fleet: Fleet
    memory: list[int] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sql = psycopg.connect(self.url, autocommit=True)
        self._looking = Looking(self._look, INTERVAL)

    @property
    def looks(self) -> int:
        """How many there were."""
        return self._looking.count

    def close(self) -> None:
        """Look no more; raises what went wrong in its thread."""
        with closing(self._sql):
            self._looking.close()

    def none_too_many(self) -> bool:
        """Whether the worker, when last looked at, had no more connections than it may."""
        return all(count <= AT_MOST for count in self.connections[-1:])

    def _look(self) -> None:
        self.documents.look()
        self._look_at_worker()

    def _look_at_worker(self) -> None:
        first = self.fleet.places[0]
        if not first.up:
            return
        with suppress(psutil.NoSuchProcess):
            self.memory.append(psutil.Process(first.worker.process.pid).memory_info().rss)
        self.connections += [count for (count,) in self._sql.execute(CONNECTIONS, [first.name])]
