"""The result of delivering a batch, and the interface of a sink."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from outboxctl.domain.clock import Deadline
from outboxctl.sink.delivery.bisect import Findings
from outboxctl.sink.delivery.bulk import BulkAction


@dataclass(frozen=True)
class BulkRequest:
    """One bulk request: its result (`ok` or a reason), how many seconds it took, and its size in bytes."""

    result: str
    seconds: float
    size: int


@dataclass(frozen=True)
class Delivery:
    """Findings in the order of the actions (None: never sent), and the bulk requests that it took.

    `whole`: the first request held all of them.
    """

    findings: Findings
    requests: list[BulkRequest]
    whole: bool = True


class Sink(Protocol):
    """Where batches go."""

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """Send the actions until `deadline`; one finding an action, nothing is raised."""
        ...


# A place in an index, as JSON: the ids of the views that are left, and the place in the first of them.
Place = Mapping[str, Any]


class IndexedSink(Sink, Protocol):
    """A sink that is one index, whose documents can be listed."""

    def ids(self, place: Place | None, size: int) -> tuple[list[str], Place | None]:
        """Up to `size` ids after `place` (None: from the start), and the next place; None after the last."""
        ...

    def holds(self, seconds: float) -> str:
        """Which index this is as it is: one that is made anew has another text; empty if that is unknown."""
        ...
