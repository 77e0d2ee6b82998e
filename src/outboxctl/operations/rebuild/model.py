"""What a rebuild works with, and its report."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from outboxctl.core.database import Connection, Database
from outboxctl.core.documents.since import Position
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.table import TableSource
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import Rebuild
from outboxctl.core.stats.counts import waiting
from outboxctl.domain.errors import ChangedError
from outboxctl.operations.projection.known import sharing
from outboxctl.operations.rebuild.source import Refused
from outboxctl.operations.rebuild.throttle import RebuildThrottle
from outboxctl.sink.transport.client import Client


class DocumentsRefusedError(Exception):
    """The new index refuses documents, without `--allow-failures`."""


class RebuildInterrupted(Exception):  # noqa: N818 - no error: a person stopped it
    """Stopped on request: what is done is saved."""


@dataclass
class Followed:
    """Up to where this process has followed the events of an index that is its own from the first document.

    None: by time alone.
    """

    position: Position | None = None


@dataclass(frozen=True)
class Tools:
    """What every phase works with. `held` is the connection whose transaction holds the lock.

    `size`: documents a page and a bulk request. `patience`: seconds that the sink may be unreachable.
    `refused` collects documents by id, over all phases of this process. `beside` are the sources of the other
    projections that have the index, in the order of their names behind that of `source`.
    """

    db: Database
    client: Client
    held: Connection
    stop: threading.Event
    size: int = 1_000
    patience: float = 60.0
    allow_failures: bool = False
    say: Callable[[str], object] = lambda _: None
    advance: Callable[[int], object] = lambda _: None
    refused: dict[str, Refused] = field(default_factory=dict)
    source: DocumentSource = field(default_factory=TableSource)
    beside: Sequence[DocumentSource] = ()
    followed: Followed = field(default_factory=Followed)

    @cached_property
    def throttle(self) -> RebuildThrottle:
        """One for all phases of this process."""
        return RebuildThrottle(self._waited, self.stop, self.say)

    def each(self) -> "Iterator[Tools]":
        """For each source by itself."""
        yield from (replace(self, source=each, beside=()) for each in (self.source, *self.beside))

    def require(self, connection: Connection) -> None:
        """Raise ChangedError unless these definitions are in force, and no other one has the index."""
        for own in self.each():
            own.source.require(connection)
        names = [each.source.projection.name for each in self.each()]
        for each in sharing(connection, self.source.projection):
            if each.name not in names:
                raise ChangedError(each.name)

    def renewed(self, connection: Connection) -> "Tools | None":
        """With what is in force for the index now; None where nothing is."""
        found = sharing(connection, self.source.projection)
        sources = [replace(self.source, projection=each) for each in found]
        return replace(self, source=sources[0], beside=sources[1:]) if sources else None

    def _waited(self) -> float:
        with self.db.begin() as connection:
            return waiting(connection)

    def save(self, rebuild: Rebuild, **values: Any) -> Rebuild:
        """`rebuilds.save` in a transaction of its own."""
        with self.db.begin() as connection:
            return rebuilds.save(connection, rebuild, **values)


@dataclass(frozen=True)
class RebuildReport:
    """How far a rebuild came; `refused` are the documents that this run's new index did not take, by id."""

    row: Rebuild
    refused: dict[str, Refused]
    resumed: bool
    seconds: float
