"""What is looked at while it storms: memory and connections of a worker."""

from contextlib import closing, suppress
from dataclasses import dataclass, field

import psutil
import psycopg

from storm.fleet import Fleet
from storm.looking import Looking

INTERVAL = 0.2  # seconds between two looks
AT_MOST = 8  # connections of a worker: one a lane and six; for a moment also those that were just cut off
CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s
"""


@dataclass
class Watch:
    """Looks again and again at the worker that lives on."""

    url: str
    fleet: Fleet
    memory: list[int] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sql = psycopg.connect(self.url, autocommit=True)
        self._looking = Looking(self._look, INTERVAL)

    def close(self) -> None:
        """Look no more; raises what went wrong in its thread."""
        with closing(self._sql):
            self._looking.close()

    def none_too_many(self) -> bool:
        """Whether the worker, when last looked at, had no more connections than it may."""
        return all(count <= AT_MOST for count in self.connections[-1:])

    def _look(self) -> None:
        first = self.fleet.places[0]
        if not first.up:
            return
        with suppress(psutil.NoSuchProcess):
            self.memory.append(psutil.Process(first.worker.process.pid).memory_info().rss)
        self.connections += [count for (count,) in self._sql.execute(CONNECTIONS, [first.name])]
