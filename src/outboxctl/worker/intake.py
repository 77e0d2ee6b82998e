"""Taking work in: as much as the sink can take now, and reclaimed events apart from all others."""

from typing import NamedTuple
from uuid import uuid4

import structlog

from outboxctl.core.delivery.claim import GROUP, LEFT_OUT, Claimed, claim
from outboxctl.core.delivery.traces import Traces, traces
from outboxctl.core.stats import snapshot
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import CutOffError, LimitError, OutboxctlError, UnreachableError
from outboxctl.domain.failures import Classification
from outboxctl.worker.lease import Lease
from outboxctl.worker.prepare import UNSENT
from outboxctl.worker.reading import read
from outboxctl.worker.shared import Shared

log = structlog.get_logger()

TICK = 0.02  # seconds between two looks at an open circuit or a full pipeline
SHORT_TICK = 0.005  # seconds between two looks at the other lanes
LATE = 0.5  # of a lease: a claim that takes longer leaves too little of it for the sink
FIRST_WAIT = 0.01  # seconds before the second look at an empty table; doubles up to the poll interval


class Batch(NamedTuple):
    """A claim in hand. `alone`: reclaimed events; nothing else may be in flight, for one of them may kill.

    `traces` are those of the events, where tracing is on. `left_out` is what becomes of an event whose
    document was left out of the claim.
    """

    lease: Lease
    events: list[Claimed]
    alone: bool
    traces: Traces = ()
    left_out: Classification = UNSENT


class SmallerError(Exception):
    """A claim failed for its size: the next one is smaller."""


class Intake:
    """Looks for work: `next` is for one lane at a time, behind the turnstile; `redeem` for any."""

    def __init__(self, shared: Shared, *, drain: bool) -> None:
        self._shared, self._settings, self._drain = shared, shared.settings, drain

    def next(self) -> Batch | Lease | None:
        """Wait for work; None when the worker stops or, with `drain`, when nothing is due.

        Where there is plenty, a lease to be redeemed: then lanes claim beside each other, not in turn.
        """
        wait = FIRST_WAIT
        while self._shared.looking():
            size = self._room()
            if not size:
                if self._drain and self._drained():
                    return None
                self._shared.stopping.wait(TICK)
                continue
            if self._plenty():
                return self._promised(size)
            try:
                batch = self._take(size)
            except SmallerError:
                continue
            if batch or self._drain:
                return batch
            self._shared.breaker.no_news()  # a probe with nothing to send is over: else there is no other
            self._shared.bell.wait(wait)  # not lost where it rang since we began to look
            wait = min(wait * 2, self._settings.poll_interval_seconds)
        return None

    def redeem(self, lease: Lease) -> Batch | None:
        """Claim for a lease that `next` gave out; None if others have taken everything meanwhile."""
        batch = None
        try:
            batch = self._claim(lease, alone=False)
        except SmallerError:
            return None
        finally:
            if not batch:
                self._shared.claims.pop(lease.token, None)
        return batch

    def _plenty(self) -> bool:
        """Whether the last claim was full, and nothing needs a lane to look alone."""
        shared = self._shared
        return shared.plenty and not shared.quarantine.occupied and not shared.breaker.is_open

    def _promised(self, size: int) -> Lease:
        """A claim counts as in hand before it is asked for: who wants the process alone waits for it."""
        lease = self._lease(size)
        self._shared.claims[lease.token] = lease
        return lease

    def _lease(self, size: int) -> Lease:
        return Lease(str(uuid4()), self._settings.lease_seconds, size, asked_at=monotonic())

    def _room(self) -> int:
        if self._shared.start_gate.problem:
            return 0
        size, throttle = self._shared.portion.size, self._shared.throttle
        throttle.resize(size * self._settings.concurrency)
        size = throttle.admit(size, self._shared.in_flight())
        return self._shared.breaker.admit(size) if size else 0

    def _drained(self) -> bool:
        """Whether nothing is due while the sink takes nothing. UnreachableError where something is due."""
        with self._shared.database.begin() as connection:
            due = snapshot.anything_due(connection)
        if due and (problem := self._shared.start_gate.problem):
            raise UnreachableError(problem, hint="events are due, and none was claimed")
        if due and self._shared.circuit_open and not self._shared.leases():
            raise UnreachableError("the sink is away and events are due", hint="check ELASTIC_URL")
        return not due

    def _take(self, size: int) -> Batch | None:
        """Reclaimed events when it is their turn, or when there is nothing else."""
        quarantine = self._shared.quarantine
        looked = quarantine.their_turn()
        batch = self._take_alone(size) if looked else None
        batch = batch or self._claim(self._lease(size), alone=False)
        if not batch and not looked and (self._drain or quarantine.occupied):
            batch = self._take_alone(size)
        # A lane that looked before the circuit opened knows nothing: another one holds what is due.
        if not batch and not quarantine.occupied and self._shared.holding and self._shared.breaker.probing:
            self._shared.close_circuit()  # nothing is there that the sink could refuse
        return batch

    def _take_alone(self, size: int) -> Batch | None:
        """Reclaimed events, claimed once nothing else is in flight in this process."""
        while self._shared.leases():
            if self._shared.stopping.wait(SHORT_TICK):
                return None
        if not self._shared.quarantine.enter():
            return None
        batch = self._claim(self._lease(min(size, GROUP)), alone=True)
        if not batch:
            self._shared.quarantine.leave()
        return batch

    def _claim(self, lease: Lease, *, alone: bool) -> Batch | None:
        unread = self._shared.portion.take_unread()
        events, found = self._ask(lease.token, 1 if unread else lease.size, alone=alone, read=not unread)
        self._shared.health.report("database", None, observer="lane")
        self._shared.plenty = not alone and len(events) >= lease.size
        if not events:
            return None
        lease.size = len(events)
        self._shared.claims[lease.token] = lease
        if unread and events[0].document == LEFT_OUT:
            event, left_out = self._read(events[0], lease)
            return Batch(lease, [event], alone, found, left_out)
        self._learn(lease)
        return Batch(lease, events, alone, found)

    def _read(self, event: Claimed, lease: Lease) -> tuple[Claimed, Classification]:
        try:
            return read(self._shared.database, event, left=lease.left)
        except OutboxctlError:
            self._shared.lose(lease.token)
            self._shared.claims.pop(lease.token, None)
            raise

    def _learn(self, lease: Lease) -> None:
        """Whether a claim of this size comes in time."""
        if monotonic() - lease.asked_at > LATE * self._settings.lease_seconds:
            self._shared.portion.failed(lease.size, by_one=False)
        else:
            self._shared.portion.succeeded(lease.size)

    def _ask(self, token: str, size: int, *, alone: bool, read: bool) -> tuple[list[Claimed], Traces]:
        s, asked = self._settings, False
        if self._shared.stopping.is_set():
            return [], ()
        try:
            with self._shared.database.begin() as connection:
                if self._shared.stopping.is_set():  # connecting may have taken seconds
                    return [], ()
                asked = True
                events = claim(
                    connection,
                    owner=s.worker_id,
                    token=token,
                    size=0 if alone else size,
                    lease=s.lease_seconds,
                    reclaimed=size if alone else 0,
                    max_bytes=s.max_batch_bytes,
                    read=read,
                    measure=self._shared.portion.measuring,
                )
                if not self._shared.tracing.on:
                    return events, ()
                return events, traces(connection, [event.id for event in events])
        except OutboxctlError as error:
            if asked:
                self._shared.lose(token)  # it may have committed
            if read and isinstance(error, CutOffError | LimitError):
                raise self._smaller(size, error) from error
            raise

    def _smaller(self, size: int, error: OutboxctlError) -> SmallerError:
        """Have the next claim ask for less. Of what has a limit, only the first document can be too large."""
        by_one = isinstance(error, LimitError)
        if not by_one:
            self._shared.health.report("database", self._shared.locks.explain(error), observer="lane")
        self._shared.portion.failed(size, by_one=by_one)
        log.warning("a claim failed: the next one is smaller", events=size, problem=str(error))
        return SmallerError()
