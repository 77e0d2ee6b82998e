"""A lane: one thread that claims, delivers and settles, batch by batch."""

import threading
from collections.abc import Collection, Sequence
from random import Random
from time import monotonic
from typing import Protocol
from uuid import uuid4

import structlog

from outboxctl.core import settle
from outboxctl.core.claim import Claimed, claim
from outboxctl.core.database import Database
from outboxctl.errors import OutboxctlError, UnreachableError
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import OutagePolicy, Settings
from outboxctl.sink.bulk import Action
from outboxctl.sink.deliver import Delivery
from outboxctl.worker import tally
from outboxctl.worker.breaker import Breaker
from outboxctl.worker.health import Health
from outboxctl.worker.outcome import Outcomes, RetryPolicy, decide
from outboxctl.worker.prepare import judge, prepare

log = structlog.get_logger()
SETTLE_AGAIN = 0.5  # seconds between two tries to settle while the database is away
PROBE_TICK = 0.05  # seconds between two looks at an open circuit
FIRST_WAIT = 0.01  # seconds before the second look at an empty table; doubles up to the poll interval


class Sink(Protocol):
    """Where batches go."""

    def deliver(self, actions: Sequence[Action], *, deadline: float) -> Delivery:
        """Send the actions by `deadline` (monotonic); one finding an action, nothing raised."""
        ...


class Shared:
    """What the lanes of one worker share. `turnstile` lets one lane at a time look for work.

    Idle lanes queue at the turnstile, so an idle worker polls once an interval whatever its number
    of lanes; a lane leaves it with its batch before it sends anything.
    """

    def __init__(
        self, settings: Settings, database: Database, sink: Sink, metrics: Metrics, health: Health
    ) -> None:
        self.settings, self.database, self.sink = settings, database, sink
        self.metrics, self.health = metrics, health
        self.stopping = threading.Event()
        self.turnstile = threading.Lock()
        self.breaker = Breaker(base=settings.base_backoff_seconds, cap=settings.max_backoff_seconds)
        self.error: Exception | None = None
        self.held: set[str] = set()  # lease tokens of the claims in hand
        self.lost: set[str] = set()  # those of claims whose answer never came: maintenance releases them


class Lane:
    """One lane; `run` returns when the worker stops or, with `drain`, when nothing is due."""

    def __init__(self, shared: Shared, *, drain: bool, rng: Random | None = None) -> None:
        self._shared, self._settings, self._drain = shared, shared.settings, drain
        s = shared.settings
        hold = s.outage_policy is OutagePolicy.HOLD
        self._policy = RetryPolicy(s.max_attempts, s.base_backoff_seconds, s.max_backoff_seconds, hold)
        self._rng = rng or Random()  # noqa: S311 - jitter, not a secret

    def run(self) -> None:
        """Turn until told to stop; an error costs a turn, never the lane.

        With `drain` there is an end to report to: the error is kept in `shared.error`.
        """
        while not self._shared.stopping.is_set():
            try:
                if not self._turn():
                    return
            except Exception as error:
                if self._drain:
                    self._shared.error = error
                    return
                self._complain(error)
                self._shared.stopping.wait(min(1.0, self._settings.poll_interval_seconds))
            finally:
                self._shared.breaker.no_news()  # however the turn ended, its probe is over

    def _complain(self, error: Exception) -> None:
        # Any other error than that of a database that is away leaves its claim to the lease: giving the
        # attempt back would send an event that always fails here for ever.
        if isinstance(error, OutboxctlError):
            self._shared.health.report("database", str(error), observer="lane")
        else:
            log.error("unexpected error in a lane", error=f"{type(error).__name__}: {error}")

    def _turn(self) -> bool:
        """One batch; False when there was none and there will be none."""
        token, claimed_at, batch = self._next_batch()
        if not batch:
            return False
        self._shared.metrics.add("inflight", len(batch))
        try:
            self._process(token, batch, claimed_at)
        except UnreachableError:
            self._shared.lost.add(token)
            raise
        finally:
            self._shared.held.discard(token)
            self._shared.metrics.add("inflight", -len(batch))
        return True

    def _next_batch(self) -> tuple[str, float, list[Claimed]]:
        """Wait for work: the claim's token, when it was asked for (monotonic), and the batch."""
        wait = FIRST_WAIT
        with self._shared.turnstile:
            while not self._shared.stopping.is_set():
                size = self._shared.breaker.admit(self._settings.bulk_size)
                if not size:
                    self._wait_for_the_sink()
                    continue
                token, claimed_at = str(uuid4()), monotonic()
                batch = self._claim(token, size)
                if not batch:
                    self._shared.breaker.no_news()
                if batch or self._drain:
                    return token, claimed_at, batch
                self._shared.stopping.wait(wait)
                wait = min(wait * 2, self._settings.poll_interval_seconds)
        return "", 0.0, []

    def _wait_for_the_sink(self) -> None:
        """The circuit is open. A drain has events that are due, and nobody to take them."""
        if self._drain:
            raise UnreachableError("the sink is away and events are due", hint="check ELASTIC_URL")
        self._shared.stopping.wait(PROBE_TICK)

    def _claim(self, token: str, size: int) -> list[Claimed]:
        s = self._settings
        try:
            with self._shared.database.begin() as connection:
                batch = claim(connection, owner=s.worker_id, token=token, size=size, lease=s.lease_seconds)
        except OutboxctlError:
            self._shared.lost.add(token)  # it may have committed
            raise
        self._shared.health.report("database", None, observer="lane")
        if batch:
            self._shared.held.add(token)
        return batch

    def _process(self, token: str, batch: list[Claimed], claimed_at: float) -> None:
        deadline = claimed_at + self._settings.delivery_seconds
        # What was read long ago may be old by now: a process can be stopped here.
        if self._shared.stopping.is_set() or monotonic() > deadline:
            release(self._shared, [token])
            return
        prepared = prepare(batch)
        delivery = Delivery([], [])
        if prepared.actions:
            delivery = self._shared.sink.deliver(prepared.actions, deadline=deadline)
        tally.deliveries(self._shared.metrics, prepared.actions, delivery)
        outcomes = decide(judge(prepared, delivery.findings), self._policy, self._rng)
        self._settle_within(token, outcomes, claimed_at + self._settings.lease_seconds)
        if self._policy.hold:
            self._hold(outcomes, sent=bool(prepared.actions))

    def _hold(self, outcomes: Outcomes, *, sent: bool) -> None:
        """Open the circuit on an outage; close it when the sink answered, whatever it said of an event."""
        if outcomes.held:
            self._shared.breaker.failed()
            error = outcomes.findings[outcomes.held[0]][1].error
            self._shared.health.report("sink", f"circuit open: {error}", observer="lane")
        elif sent:
            self._shared.breaker.succeeded()
            self._shared.health.report("sink", None, observer="lane")

    def _settle_within(self, token: str, outcomes: Outcomes, lease_ends: float) -> None:
        """Write what became of the batch, again and again while the database is away and the lease lasts.

        After that the events are anybody's: they come back by reclaim and are sent once more.
        """
        certain = True
        while True:
            try:
                self._settle(token, outcomes, certain=certain)
            except UnreachableError as error:
                certain = False  # it may have committed
                self._shared.health.report("database", str(error), observer="lane")
                if monotonic() > lease_ends or self._shared.stopping.wait(SETTLE_AGAIN):
                    raise
            else:
                return

    def _settle(self, token: str, outcomes: Outcomes, *, certain: bool) -> None:
        hit: set[str] = set()
        with self._shared.database.begin() as connection:
            if outcomes.done:
                hit |= settle.complete(connection, token, outcomes.done)
            if outcomes.retries:
                hit |= settle.retry(connection, token, outcomes.retries)
            if outcomes.failures:
                hit |= settle.fail(connection, token, outcomes.failures)
            if outcomes.held:
                hit |= settle.release(connection, [token])
        if tally.settled(self._shared.metrics, outcomes, hit, certain=certain):
            self._shared.health.succeeded()


def release(shared: Shared, tokens: Collection[str]) -> int:
    """Give back whatever these claims still hold, with their attempts; returns the number of events."""
    if not tokens:
        return 0
    with shared.database.begin() as connection:
        return len(settle.release(connection, list(tokens)))
