"""The cluster of a run of labs: started when first used, and used by one lab at a time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.services import search
from outboxctl.drills.services.cluster import SearchCluster, started
from outboxctl.drills.services.model import ENGINES, EngineKind, Kind, Say

# By default the nodes give a frozen one up after some 30 s. Elections and copies are as usual.
NODE_SETTINGS = tuple(
    f"cluster.fault_detection.{check}.{name}"
    for check in ("follower_check", "leader_check")
    for name in ("timeout=4s", "retry_count=2")
)


class SharedCluster:
    """Three nodes with their data in `folder`, of the engine that the run's other labs have, if it can be."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._folder, self._say = folder, say
        self._lock, self._stack = Lock(), ExitStack()
        self._cluster: SearchCluster | None = None

    @staticmethod
    def kind(other: Kind) -> EngineKind | None:
        """The kind beside a search engine of this one; None for an imitation, or without Maven or a JDK."""
        if other == "noida":
            return None
        kind: EngineKind = next((each for each in ENGINES if each == other), "elasticsearch")
        try:
            search.parts(kind, lambda _: None)
        except UnreachableError:
            return None
        return kind

    @contextmanager
    def lent(self, kind: EngineKind) -> Iterator[SearchCluster]:
        """The cluster, for one lab: all of its nodes are up, then and in the end. UnreachableError."""
        with self._lock:
            if self._cluster is None:
                self._say(f"starting a cluster of three nodes of {kind}")
                nodes = started(kind, self._folder, settings=NODE_SETTINGS)
                self._cluster = self._stack.enter_context(nodes)
            self._cluster.heal()
            yield self._cluster
            self._cluster.heal()

    def close(self) -> None:
        """End its processes, and delete its data."""
        self._stack.close()
