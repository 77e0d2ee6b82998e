"""Claiming for all lanes: as much as the sink can take now, and reclaimed events apart from all others."""

import threading
from collections.abc import Callable
from uuid import uuid4

from outboxctl.core.delivery.claim import GROUP
from outboxctl.domain.clock import monotonic
from outboxctl.worker.claiming.claims import Claims
from outboxctl.worker.claiming.drained import Drained
from outboxctl.worker.claiming.leases import Batch, Lease
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import Choice, FlowControl

TICK = 0.02  # seconds between two looks at an open circuit or a full pipeline: they change with the time
# Seconds until a look after one that left nothing; doubles up to the poll interval. A look in vain costs a
# third of what a lone event does.
FIRST_WAIT = 0.02
# The same where the database notifies: only what comes back by itself is found by looking, such as a retry.
FIRST_WAIT_HEARING = 0.1
ALONE = 0.05  # seconds in which lanes claim side by side what one projection has, without a look at others
TURN = 1.0  # seconds that reclaimed events have the process to themselves, and then the others
PATIENCE = 1.0  # seconds that lanes wait for batches in progress; each time in vain doubles it


class ReclaimedTurns:
    """Whether reclaimed events may be claimed now, or all others; used under the claim lock.

    A turn begins once nothing else is in flight. Batches in progress are waited for up to `patience`: where
    they take longer, the others have as long a turn first. Any thread calls `expect`.
    """

    def __init__(self) -> None:
        self.times_expected = 0
        self._times_answered = 0  # `times_expected` before a claim that returned none
        self._ends = self._others_end = 0.0
        self.patience = PATIENCE

    def expect(self) -> None:
        """There may be reclaimed events."""
        self.times_expected += 1

    @property
    def may_exist(self) -> bool:
        """Whether there may be reclaimed events: no claim since `expect` has returned none."""
        return self.times_expected > self._times_answered

    def due(self) -> bool:
        """Whether to wait for the batches in progress, and then claim reclaimed events."""
        return self.may_exist and monotonic() >= self._others_end

    def put_off(self) -> None:
        """Batches in progress took longer than `patience`."""
        self._ends, self._others_end = 0.0, monotonic() + self.patience
        self.patience *= 2

    def begin(self) -> bool:
        """Nothing else is in flight: whether reclaimed events may be claimed, or their turn has ended."""
        now, self.patience = monotonic(), PATIENCE
        if self._ends and now >= self._ends:
            self._ends, self._others_end = 0.0, now + TURN
            return False
        self._ends = self._ends or now + TURN
        return True

    def none_left(self, times_expected: int) -> None:
        """A claim that was sent after so many calls of `expect` returned no reclaimed event."""
        self._times_answered, self._ends = times_expected, 0.0


class Claimer:
    """Claims batches for the lanes of one worker; every lane calls `claim`.

    Under `_claim_lock`, never held while a batch is delivered, one lane at a time looks for events: an idle
    worker polls once an interval. Projections are served in turn. After a full claim, where no other
    projection had events, the next ones of that projection are made side by side, outside of the lock.
    """

    def __init__(
        self,
        context: WorkerContext,
        claims: Claims,
        flow: FlowControl,
        reclaimed: ReclaimedTurns,
        drained: Drained,
        *,
        expanding: Callable[[], bool],
    ) -> None:
        self._settings = context.settings
        self._in_flight, self._signals = context.in_flight, context.signals
        self._claims, self._flow, self._reclaimed, self._drained = claims, flow, reclaimed, drained
        self._expanding = expanding  # whether key events of a follow event are about to be written
        self._claim_lock = threading.Lock()
        self._after = ""  # the projection that was served last; without a lock: others may have an early turn
        self._alone: str | None = None  # the projection that had events when no other one had, until when
        self._alone_until = 0.0
        self._taken_at = 0  # the news before a claim that took all that was due
        self._rest_ends = 0.0  # when the next look is due after it

    def claim(self, *, drain: bool) -> Batch | None:
        """Wait for events and claim them; None when the worker stops or, with `drain`, when none is due.

        Raises UnreachableError for the database, or with `drain` where events are due that cannot be sent.
        """
        while not self._signals.stopping:
            with self._claim_lock:
                lease, batch = self._claim_in_turn(drain=drain)
            if lease:
                batch = self._claim_reserved(lease)
            if batch or not lease:
                return batch
        return None

    def _claim_in_turn(self, *, drain: bool) -> tuple[Lease | None, Batch | None]:
        """A batch; or a reserved lease, to be claimed outside of the lock; or neither: there is none."""
        if not drain:  # after a claim that took all: another look would take the interpreter from delivery
            self._signals.wait_for_news(self._taken_at, self._rest_ends - monotonic())
        wait = self._first_wait
        while self._in_flight.wait_while_exclusive():
            news = self._signals.news
            size = self._flow.admit()
            if not size:
                if drain and self._drained.nothing_due():
                    break
                self._signals.wait_for_change(TICK)
                continue
            if (name := self._side_by_side()) is not None:
                lease = self._new_lease(size, name)
                self._in_flight.add(lease)  # before it is sent: an exclusive claim waits for it
                return lease, None
            held, next_probe = len(self._in_flight.leases()), self._flow.next_probe()
            choice = self._flow.choice(size, probing=True)
            last = drain and not (self._expanding() or choice.limited)
            batch = self._look(size, choice, last=last)
            if batch or (last and self._drained.none_left()):
                return None, batch
            self._flow.end_probe()  # a probe without an event is over: else there is no other
            seconds = min(wait, next_probe - monotonic())
            self._wait(news, seconds, held=held if choice.limited else 0)
            wait = min(wait * 2, self._settings.poll_interval_seconds)
        return None, None

    def _wait(self, news: int, seconds: float, *, held: int) -> None:
        """For news, or until fewer than `held` batches are in progress."""
        signals = self._signals
        signals.wait_until(lambda: signals.news != news or len(self._in_flight.leases()) < held, seconds)

    @property
    def _first_wait(self) -> float:
        """Seconds until a look after one that has left nothing."""
        hearing = FIRST_WAIT_HEARING if self._signals.hearing else FIRST_WAIT
        return min(hearing, self._settings.poll_interval_seconds)

    def _side_by_side(self) -> str | None:
        """The projection that is claimed without a look at others: none of them had events just now."""
        if monotonic() > self._alone_until or self._reclaimed.may_exist or self._flow.away:
            return None
        return self._alone if self._alone is not None and self._flow.takes_more(self._alone) else None

    def _claim_reserved(self, lease: Lease) -> Batch | None:
        """Claim for a reserved lease; None if other lanes and workers have taken everything meanwhile."""
        batch = None
        try:
            choice = self._flow.choice(lease.size, probing=False)
            batch = self._take(lease, choice, only=lease.name)
        finally:
            if not batch:
                self._in_flight.remove(lease.token)
        return batch

    def _look(self, size: int, choice: Choice, *, last: bool) -> Batch | None:
        """Claim reclaimed events when it is their turn, or when nothing else is due.

        `last`: nobody looks again where there is none.
        """
        looked = self._reclaimed.due()
        batch = self._take_reclaimed(size, in_turn=True) if looked else None
        if looked and not batch:  # it may have waited
            choice = self._flow.choice(size, probing=True)
        batch = batch or self._take(self._new_lease(size), choice)
        if not batch and not looked and (last or self._reclaimed.may_exist):
            batch = self._take_reclaimed(size, in_turn=False)
        # A lane that looked before the circuit opened is no probe: another one holds what is due.
        none = not (batch or self._reclaimed.may_exist)
        if none and self._flow.holds_events and not (choice.closed and self._drained.anything_due()):
            self._flow.nothing_due()
        return batch

    def _take(self, lease: Lease, choice: Choice, *, only: str | None = None) -> Batch | None:
        """A batch of the projection whose turn it is; others than it, where its events are locked."""
        news, size, after = self._signals.news, lease.size, self._after
        passed = set[str]()
        batch = self._claims.take(lease, choice=choice, after=after, only=only)
        while batch and not batch.events and batch.name not in passed and only is None:
            passed.add(batch.name)
            lease.size = size
            batch = self._claims.take(lease, choice=choice, after=batch.name)
        if batch is None or not batch.events:
            self._alone_until = 0.0
            self._taken_at, self._rest_ends = news, monotonic() + self._first_wait
            return None
        self._after = batch.name
        full = len(batch.events) >= choice.sizes.get(batch.name, size)
        self._flow.claimed(batch.name)
        alone = not (batch.others or passed)
        if only is None:
            self._alone, self._alone_until = batch.name, monotonic() + ALONE if full and alone else 0.0
        elif not full:
            self._alone_until = 0.0
        if not full and alone:
            self._taken_at, self._rest_ends = news, monotonic() + self._first_wait
        return batch

    def _take_reclaimed(self, size: int, *, in_turn: bool) -> Batch | None:
        """Reclaimed events, claimed once nothing else is in flight in this process.

        Where that takes long, the others go on meanwhile: `in_turn` it counts as a turn in vain.
        """
        if not self._in_flight.wait_until_empty(self._reclaimed.patience if in_turn else PATIENCE):
            if in_turn:
                self._reclaimed.put_off()
            return None
        if not self._reclaimed.begin():
            return None
        choice, times = self._flow.choice(size, probing=True), self._reclaimed.times_expected
        batch = self._claims.take(self._new_lease(min(size, GROUP)), exclusive=True, choice=choice)
        self._alone_until = 0.0
        if not batch:
            self._reclaimed.none_left(times)
            return None
        self._flow.claimed(batch.name)
        return batch

    def _new_lease(self, size: int, name: str | None = None) -> Lease:
        seconds = self._settings.lease_seconds
        return Lease(str(uuid4()), seconds, size, requested_at=monotonic(), name=name)
