"""The script of a sink: which fault each bulk request gets, and where it is held."""

from collections.abc import Callable
from dataclasses import dataclass

from outboxctl.drills.proxy.faults import HEALTHY, ProxyFault
from outboxctl.drills.proxy.server import Gates


@dataclass(frozen=True)
class Bulk:
    """A bulk request as it arrived: its number from 0, ids, size in bytes, and when (monotonic)."""

    number: int
    ids: tuple[str, ...]
    size: int
    at: float


class Script(Gates):
    """Chooses the fault of each bulk request; `lookups` is that of every other request.

    A request whose body is larger than `reset_over` bytes is reset before its body is read.
    """

    def __init__(self, choose: Callable[[Bulk], ProxyFault] = lambda _: HEALTHY) -> None:
        super().__init__()
        self.choose = choose
        self.lookups = HEALTHY
        self.reset_over: int | None = None

    def other(self, request: str) -> ProxyFault:
        """The fault of a request that is no bulk request, such as `HEAD /_alias/name`; to be overridden."""
        del request
        return self.lookups

    @classmethod
    def of(cls, *faults: ProxyFault, then: ProxyFault = HEALTHY) -> "Script":
        """These faults in order, then the same one for ever."""
        return cls(lambda bulk: faults[bulk.number] if bulk.number < len(faults) else then)

    @classmethod
    def always(cls, fault: ProxyFault) -> "Script":
        """The same fault for ever."""
        return cls.of(then=fault)
