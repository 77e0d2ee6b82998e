"""What is counted of the requests that pass, and the gates at which bulk requests can be held."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum


class Point(StrEnum):
    """Where a bulk request can be held."""

    BEFORE_APPLY = "before apply"
    AFTER_APPLY = "after apply"


class Gate:
    """Holds the bulk requests that come to its point until it is opened."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self._reached, self._open = threading.Event(), threading.Event()

    def wait(self, within: float = 20) -> None:
        """Wait until a request has come here; TimeoutError if none does."""
        if not self._reached.wait(within):
            raise TimeoutError(f"no request came to {self.point!r} within {within} s")

    def let_go(self) -> None:
        """Let everything pass from now on."""
        self._open.set()

    def stop(self) -> None:
        """Hold the calling request."""
        self._reached.set()
        self._open.wait()


class Gates:
    """The gates that there are at the moment."""

    def __init__(self) -> None:
        self._gates: list[Gate] = []

    @contextmanager
    def hold(self, point: Point) -> Iterator[Gate]:
        """Hold every bulk request that comes to this point until the block ends, or `let_go`."""
        gate = Gate(point)
        self._gates.append(gate)
        try:
            yield gate
        finally:
            self._gates.remove(gate)
            gate.let_go()

    def pause(self, point: Point) -> None:
        """Hold the calling request while there is a gate at this point."""
        for gate in [gate for gate in self._gates if gate.point is point]:
            gate.stop()

    def let_all_go(self) -> None:
        """Let go what is held anywhere."""
        for gate in list(self._gates):
            gate.let_go()


@dataclass(frozen=True)
class Bulk:
    """A bulk request as it arrived: its number from 0, ids, size in bytes, and when (monotonic)."""

    number: int
    ids: tuple[str, ...]
    size: int
    at: float


@dataclass(frozen=True)
class ProxyCounts:
    """Counts of all requests, of bulk requests, of those that a fault struck, and of the items refused.

    Refused connections are not counted: the proxy sees none.
    """

    requests: int = 0
    bulks: int = 0
    struck: int = 0
    items_failed: int = 0
