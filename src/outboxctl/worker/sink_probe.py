"""The probe of the sink as a whole: of several nodes before it counts as away, and of its indexes' health."""

from collections.abc import Sequence

from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import RefusedError, UnreachableError
from outboxctl.domain.failures import NO_ANSWER, Classification
from outboxctl.sink.delivery.result import Probe

TRIES = 2  # in a round: behind a single URL there may be a load balancer, with several nodes
REFUSED = 60.0  # seconds until the health is asked for again where that is refused
EVERY = 1.0  # seconds between two looks at the health of indexes that are well
ONSET = 3.0  # seconds until what was well counts as ill: an election and a restart of a copy are shorter
ONE, SEVERAL = 1.0, 1.4  # seconds of patience: of several nodes one may be silent until another is asked


class SinkProbe:
    """Asks by a `probe`, whose sink has one node or `several`; one thread uses it."""

    def __init__(self, probe: Probe, *, several: bool) -> None:
        self._probe = probe
        self.patience = SEVERAL if several else ONE
        self._next_health = 0.0
        self._problem: Classification | None = None
        self._healthy_at = float("-inf")

    def ask(self) -> Classification | None:
        """None if any node answers and the index exists, else what is wrong: the client asks them all."""
        began = monotonic()
        for _ in range(TRIES):
            finding = self._probe.ping()
            if finding is None or finding.reason not in NO_ANSWER or monotonic() - began > self.patience:
                break
        return finding

    def health(self, names: Sequence[str]) -> Classification | None:
        """What is wrong with the health of these indexes, once that has lasted.

        None also where the sink may not be asked.
        """
        if not names:
            return None
        if monotonic() >= self._next_health:
            self._look(names)
        return self._problem if monotonic() - self._healthy_at >= ONSET else None

    def _look(self, names: Sequence[str]) -> None:
        try:
            self._problem = self._probe.health(names)
        except RefusedError:  # the right is lacking, or this engine has no such request
            self._problem, self._next_health = None, monotonic() + REFUSED
        except UnreachableError:
            return  # the next ping says whether the sink is away
        else:
            self._next_health = 0.0 if self._problem else monotonic() + EVERY
        if self._problem is None:
            self._healthy_at = monotonic()
