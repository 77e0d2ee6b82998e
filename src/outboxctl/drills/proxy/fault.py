"""A fault as data: which requests it befalls, and what is done with each."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.drills.proxy.request import ProxyRequest
from outboxctl.drills.proxy.wire import Ending, ProxyReply

Refusal = tuple[int, Any]  # status and error of an item
LONGEST = 86_400.0  # seconds


@dataclass(frozen=True)
class ProxyFault:
    """What to do with one request; by default nothing special.

    It waits `before` seconds, applies the request unless `apply` is False (but refuses the items of
    whose id `items` returns a refusal), waits `after` seconds, and answers `reply` or the truth; the
    connection ends as `ending` says. Without `listening` there are no connections at all.

    Who draws requests by chance takes `share` of the bulk requests, or of `everything`, whose bodies
    are larger than `over` bytes.
    """

    name: str = ""
    share: float = 1.0
    everything: bool = False
    over: int = -1
    apply: bool = True
    before: float = 0
    after: float = 0
    reply: ProxyReply | None = None
    items: Callable[[str], Refusal | None] | None = None
    ending: Ending = Ending.ANSWER
    pace: float = 0.05
    listening: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"the share of a fault is above 0 and at most 1, not {self.share}")
        for seconds in (self.before, self.after, self.pace):
            if not (math.isfinite(seconds) and 0 <= seconds <= LONGEST):
                raise UsageError(f"a fault takes between 0 seconds and a day, not {seconds}")

    def changed(self, truth: ProxyReply) -> ProxyReply:
        """The answer that is sent in place of the true one."""
        return self.reply or truth

    @property
    def loses(self) -> bool:
        """Whether the client does not learn what the sink answered."""
        return self.reply is not None or self.ending in {Ending.DROP, Ending.RESET, Ending.TRUNCATE}


HEALTHY = ProxyFault()


@dataclass(eq=False)
class Spell:
    """A fault for as long as it holds; `over` ends its waits. The same seed draws the same requests."""

    fault: ProxyFault = HEALTHY
    over: threading.Event = field(default_factory=threading.Event)
    rng: Random = field(default_factory=lambda: Random(0))  # noqa: S311 - chance, not a secret

    def strikes(self, asked: ProxyRequest) -> bool:
        """Whether this request is one of its; not thread-safe."""
        fault = self.fault
        meant = (asked.is_bulk or fault.everything) and len(asked.body) > fault.over
        return meant and (fault.share == 1 or self.rng.random() < fault.share)
