"""The script of a sink: which fault each bulk request gets, and where it is held."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from fakes.faults import HEALTHY, Fault


@dataclass(frozen=True)
class Bulk:
    """A bulk request as it arrived: its number from 0, ids, size in bytes, and when (monotonic)."""

    number: int
    ids: tuple[str, ...]
    size: int
    at: float


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
        """Wait until a request has come here."""
        assert self._reached.wait(within), f"no request came to {self.point!r} within {within} s"

    def let_go(self) -> None:
        """Let everything pass, now and from now on."""
        self._open.set()

    def stop(self) -> None:
        """Hold the calling request."""
        self._reached.set()
        self._open.wait()


class Script:
    """Chooses the fault of each bulk request; `lookups` is that of every other request.

    A request whose body is larger than `reset_over` bytes is reset before its body is read.
    """

    def __init__(self, choose: Callable[[Bulk], Fault] = lambda _: HEALTHY) -> None:
        self.choose = choose
        self.lookups = HEALTHY
        self.reset_over: int | None = None
        self._gates: list[Gate] = []

    @classmethod
    def of(cls, *faults: Fault, then: Fault = HEALTHY) -> "Script":
        """These faults in order, then the same one for ever."""
        return cls(lambda bulk: faults[bulk.number] if bulk.number < len(faults) else then)

    @classmethod
    def always(cls, fault: Fault) -> "Script":
        """The same fault for ever."""
        return cls.of(then=fault)

    @classmethod
    def at_random(cls, rng: Random, *chances: tuple[float, Fault]) -> "Script":
        """Each fault with its probability; healthy with what is left."""
        faults = [*(fault for _, fault in chances), HEALTHY]
        weights = [*(chance for chance, _ in chances), 1 - sum(chance for chance, _ in chances)]
        return cls(lambda _: rng.choices(faults, weights)[0])

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
