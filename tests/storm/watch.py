"""What is looked at while it storms: versions of documents, memory and connections of a worker."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import psutil
import psycopg

from engines.node import Node
from invariants import versions
from storm.fleet import Fleet

INTERVAL = 0.2  # seconds between two looks
AT_MOST = 7  # connections of a worker: one a lane and five; for a moment also those that were just cut off
CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s
"""


class Looks(Protocol):
    """Looks at the same documents; `steps_back` says what went back."""

    steps_back: list[str]

    def look(self, sql: psycopg.Connection) -> None:
        """Once."""
        ...


@dataclass
class VersionLooks:
    """At the versions in an engine of one node. A document's version there never falls."""

    engine: Node
    index: str
    ids: Sequence[str]
    steps_back: list[str] = field(default_factory=list)
    _highest: dict[str, int] = field(default_factory=dict)

    def look(self, sql: psycopg.Connection) -> None:
        """Once."""
        del sql
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
    documents: Looks
    fleet: Fleet
    looks: int = 0
    memory: list[int] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._run_out = self._thread.submit(self._run)

    def close(self) -> None:
        """Look no more; raises what went wrong in its thread."""
        self._over.set()
        self._thread.shutdown()
        self._run_out.result()

    def none_too_many(self) -> bool:
        """Whether the worker, when last looked at, had no more connections than it may."""
        return all(count <= AT_MOST for count in self.connections[-1:])

    def _run(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as sql:
            while not self._over.wait(INTERVAL):
                self.documents.look(sql)
                self._look_at_worker(sql)
                self.looks += 1

    def _look_at_worker(self, sql: psycopg.Connection) -> None:
        first = self.fleet.places[0]
        if not first.up:
            return
        with suppress(psutil.NoSuchProcess):
            self.memory.append(psutil.Process(first.worker.process.pid).memory_info().rss)
        self.connections += [count for (count,) in sql.execute(CONNECTIONS, [first.name])]
