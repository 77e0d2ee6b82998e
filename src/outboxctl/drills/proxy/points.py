"""Points at which bulk requests can be held, and let go."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum


class Point(StrEnum):
    """Where a request can be held."""

    BEFORE_APPLY = "before apply"
    AFTER_APPLY = "after apply"


class Gate:
    """Holds the bulk requests that come to its point until it is let go."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self._reached, self._open = threading.Event(), threading.Event()

    def wait(self, within: float = 20) -> None:
        """Wait until a request has come here; TimeoutError if none does."""
        if not self._reached.wait(within):
            raise TimeoutError(f"no request came to {self.point!r} within {within} s")

    def let_go(self) -> None:
        """Let everything pass, now and from now on."""
        self._open.set()

    def stop(self) -> None:
        """Hold the calling request."""
        self._reached.set()
        self._open.wait()


class Gates:
    """Those that there are at the moment."""

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
        """Stop here as long as a gate says so."""
        for gate in [gate for gate in self._gates if gate.point is point]:
            gate.stop()

    def let_all_go(self) -> None:
        """Let go what is held anywhere."""
        for gate in list(self._gates):
            gate.let_go()
