"""What the lanes of one worker share, and giving claims back."""

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from outboxctl.core.database import Database
from outboxctl.core.delivery import settle
from outboxctl.domain.clock import monotonic
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import OutagePolicy, Settings
from outboxctl.sink.delivery.result import Sink
from outboxctl.worker.batch_sizer import BatchSizer
from outboxctl.worker.breaker import Breaker
from outboxctl.worker.health import Health
from outboxctl.worker.locks import Locks
from outboxctl.worker.postponed_outcomes import Postponed
from outboxctl.worker.progress_log import Repeats
from outboxctl.worker.reclaimed_turns import ReclaimedTurns
from outboxctl.worker.start_gate import StartGate
from outboxctl.worker.stop_flag import StopFlag
from outboxctl.worker.throttle import Throttle
from outboxctl.worker.tracing import Tracing

if TYPE_CHECKING:
    from outboxctl.worker.lease import Lease


class Shared:
    """What the lanes of one worker share. `turnstile` lets one lane at a time look for work.

    Idle lanes queue at the turnstile, so an idle worker polls once an interval whatever its number
    of lanes; a lane leaves it with its batch before it sends anything, and where there is `plenty`
    before it claims.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sink: Sink,
        metrics: Metrics,
        health: Health,
        *,
        tracing: Tracing | None = None,
    ) -> None:
        self.settings, self.database, self.sink = settings, database, sink
        self.metrics, self.health, self.tracing = metrics, health, tracing or Tracing()
        self.stopping = StopFlag()  # nothing new is begun
        self.bell = threading.Event()  # there may be work: whoever waits for some looks again
        self.given_up = threading.Event()  # and what is under way is not waited for
        self.turnstile = threading.Lock()
        self.plenty = False  # the last claim was full: the next one will find something, too
        self.start_gate = StartGate()
        self.holding = settings.outage_policy is OutagePolicy.HOLD
        self.breaker = Breaker(
            base=settings.base_backoff_seconds,
            cap=settings.max_backoff_seconds,
            whole_batches=not self.holding,
        )
        self.throttle = Throttle(settings.bulk_size * settings.concurrency)
        self.portion = BatchSizer(settings.bulk_size, settings.max_batch_bytes)
        self.completed = 0  # events that this process brought to done
        self.released = 0  # events that its lanes gave back untried since it was told to stop
        self._counting = threading.Lock()
        self.error: Exception | None = None
        self.quarantine = ReclaimedTurns()
        self.repeats = Repeats()
        self.claims: dict[str, Lease] = {}  # in hand, by lease token
        self.locks, self.postponed = Locks(database), Postponed(settings.lease_seconds)
        self._unanswered: dict[str, float] = {}  # claims whose answer never came, until when they matter
        metrics.set("inflight_limit", self.throttle.limit)

    def stop(self) -> None:
        """Begin nothing new; whoever waits for work is woken."""
        self.stopping.set()
        self.bell.set()

    def looking(self) -> bool:
        """About to look for work: whatever rings from here on is news. False once the worker stops."""
        self.bell.clear()
        return not self.stopping.is_set()

    def complete(self, events: int) -> None:
        """Note that so many events became done just now."""
        with self._counting:
            self.completed += events
        self.health.succeeded()

    def gave_back(self, events: int) -> None:
        """Note that so many events were put back untried; before the stop that is ordinary."""
        if self.stopping.is_set():
            with self._counting:
                self.released += events

    def in_flight(self) -> int:
        """Events that the lanes hold."""
        return sum(lease.size for lease in self.leases())

    def leases(self) -> "list[Lease]":
        """The claims in hand. One whose lease has ended is not ours, whatever its lane still does with it."""
        return [lease for lease in list(self.claims.values()) if not lease.ended]

    def lose(self, token: str) -> None:
        """Nobody knows whether this claim holds something: it is released, for as long as it could."""
        self._unanswered[token] = monotonic() + self.settings.lease_seconds

    def unanswered(self) -> list[str]:
        """The tokens to release; those whose lease is over by now are forgotten."""
        now = monotonic()
        for token, end in list(self._unanswered.items()):
            if end <= now:
                del self._unanswered[token]  # in place: a lane may be losing another one right now
        return list(self._unanswered)

    def answered(self) -> None:
        """The sink answered something, whatever it was."""
        if self.breaker.is_open:
            self.close_circuit()
        else:
            self.breaker.close()

    def close_circuit(self) -> None:
        """The sink is well, or has nothing to be well for; begin small if it was away."""
        if self.breaker.is_open:
            self.throttle.start_small(self.settings.bulk_size)
        self.breaker.close()
        self.health.report("sink", None, observer="lane")
        self.show_limits()

    @property
    def circuit_open(self) -> bool:
        """Whether an outage holds events back. Under `count` none is held: each has its own retry."""
        return self.holding and self.breaker.is_open

    def show_limits(self) -> None:
        """Set the gauges of circuit and throttle."""
        self.metrics.set("circuit_open", self.circuit_open)
        self.metrics.set("inflight_limit", self.throttle.limit)


def release(shared: Shared, tokens: Collection[str]) -> int:
    """Give back whatever these claims still hold, with their attempts; returns the number of events."""
    if not tokens:
        return 0
    with shared.database.begin() as connection:
        return len(settle.release(connection, list(tokens)))


def still_held(shared: Shared, tokens: Collection[str]) -> int:
    """How many events of these claims could not be given back: somebody else has locked them."""
    if not tokens:
        return 0
    with shared.database.begin() as connection:
        return len(settle.held(connection, list(tokens)))
