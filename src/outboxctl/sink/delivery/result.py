"""What became of a batch: what a sink says to whoever delivers. It loads no client, which takes long."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from outboxctl.domain.failures import Classification
from outboxctl.sink.delivery.bisect import Findings
from outboxctl.sink.delivery.bulk import BulkAction


@dataclass(frozen=True)
class Request:
    """One bulk request: what it ended in (`ok` or a reason), how many seconds it took, and its bytes."""

    result: str
    seconds: float
    size: int


@dataclass(frozen=True)
class Delivery:
    """Findings in the order of the actions (None: never sent), and the bulk requests that it took."""

    findings: Findings
    requests: list[Request]


class Sink(Protocol):
    """Where batches go."""

    def deliver(self, actions: Sequence[BulkAction], *, left: Callable[[], float]) -> Delivery:
        """Send the actions while `left()` seconds are left; one finding an action, nothing raised."""
        ...


class Probe(Protocol):
    """What can be asked whether it is there."""

    def ping(self) -> Classification | None:
        """None if the sink answers and the index is there, else what is wrong."""
        ...
