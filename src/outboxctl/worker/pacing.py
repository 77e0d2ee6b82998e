"""Waits of events whose projection cannot be delivered at all, so that they hold up no other's.

Retries are claimed before fresh events. Each event that waits for a missing index would come back within
MAX_BACKOFF: 50,000 of them take 2,000 claims a second, and fresh events of other projections wait behind
them (docs/adr/0030). So a worker spreads their waits out, and brings them forward once a delivery succeeds:
batch by batch, as fast as they are delivered, so that they hold up no other's then either.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import ceil

import structlog

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.leases import BATCH, bring_forward
from outboxctl.core.delivery.settle import Retry
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.worker.database_reporter import DatabaseReporter
from outboxctl.worker.outcome import Outcomes

log = structlog.get_logger()
RATE = 200.0  # events a second that one worker tries again while their projection cannot be delivered
AGAIN = 10.0  # seconds between two times that a projection's events are brought forward
# Seconds until that is done without an outage in this process: the one that spread the waits may be gone.
SELDOM = 600.0
STEP = 1.0  # seconds between two batches that are brought forward, unless half of the last one was delivered
SHARDS = "/shards"  # behind a projection's name: its events whose shard takes nothing
# Outages of one index: the sink itself may take the documents of others.
OF_ONE_INDEX = frozenset(
    {Reason.INDEX_UNAVAILABLE, Reason.WRITE_BLOCKED, Reason.UNAVAILABLE, Reason.AUTH, Reason.CONFIG}
)
PAUSE = 1.0  # seconds that a projection is left alone
PASSING_PAUSE = 0.25  # for what ends by itself within seconds


def outage_of_all(judged: Sequence[tuple[Claimed, Classification]]) -> Classification | None:
    """The finding of the first of these events, if all wait for the index or the view of their projection."""
    findings = [finding for _, finding in judged]
    waits = (
        f.verdict is Verdict.OUTAGE and f.single and not f.of_shard and f.reason in OF_ONE_INDEX
        for f in findings
    )
    return findings[0] if findings and all(waits) else None


@dataclass
class WaitingEvents:
    """Events of one projection that are to be brought forward: their reasons, and how far that is."""

    reasons: frozenset[Reason]
    delivered: int = 0  # since the last batch
    next_step: float = 0.0


class Pacing:
    """Shared by the lanes of one worker; thread-safe. search_index has an empty name."""

    def __init__(self, database: Database, reporter: DatabaseReporter) -> None:
        self._database, self._reporter = database, reporter
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}  # when the next event may come back (monotonic)
        self._looked_at: dict[str, float] = {}  # when its events were to be brought forward last
        self._waiting: dict[str, WaitingEvents] = {}  # events that are to be brought forward

    def spread(self, name: str, outcomes: Outcomes) -> None:
        """Lengthen the waits of these events, none of which could be delivered, to RATE a second.

        Those of one second come back at once: a claim of many costs little more than a claim of one.
        """
        outcomes.retries = self._spread(name, outcomes.retries)

    def spread_of_shards(self, name: str, outcomes: Outcomes) -> None:
        """The same for the events whose shard takes nothing."""
        waiting = [each for each in outcomes.retries if outcomes.findings[each.id][1].of_shard]
        if waiting:
            ids = {each.id for each in waiting}
            others = [each for each in outcomes.retries if each.id not in ids]
            outcomes.retries = others + self._spread(name + SHARDS, waiting)

    def _spread(self, key: str, retries: Sequence[Retry]) -> list[Retry]:
        now = monotonic()
        with self._lock:
            first = max(self._next.get(key, 0.0), now)
            self._next[key] = first + len(retries) / RATE
        waits = (ceil(first + place / RATE) - now for place in range(len(retries)))
        return [replace(each, delay=max(each.delay, wait)) for each, wait in zip(retries, waits, strict=True)]

    def delivered(self, name: str, events: int) -> None:
        """So many events of this projection were delivered: bring those forward that wait.

        Also at the first delivery of this process: another one may have put them back. A database error is
        reported, and the next delivery tries again.
        """
        with self._lock:
            now = monotonic()
            since = now - self._looked_at.get(name, float("-inf"))
            if since >= AGAIN and (self._next.get(name, 0.0) > now or since >= SELDOM):
                self._next.pop(name, None)
                self._looked_at[name] = now
                self._wait_for(name, OF_ONE_INDEX)
        self.go_on(name, events)

    def shard_recovered(self, name: str) -> None:
        """A shard takes documents again: bring its events forward. Database errors as in `delivered`."""
        with self._lock:
            self._next.pop(name + SHARDS, None)
            self._wait_for(name, {Reason.UNAVAILABLE})
        self.go_on(name, 0)

    def _wait_for(self, name: str, reasons: Collection[Reason]) -> None:
        waiting = self._waiting.setdefault(name, WaitingEvents(frozenset()))
        waiting.reasons = waiting.reasons.union(reasons)

    def go_on(self, name: str, events: int) -> None:
        """So many events were delivered: bring the next batch forward, if there may be one and it is time."""
        waiting = self._waiting.get(name)
        if waiting is None or not (reasons := self._take_turn(waiting, events)):
            return
        try:
            with self._database.begin() as connection:
                moved = bring_forward(connection, name, reasons)
        except OutboxctlError as error:
            self._reporter.failed(error)
            self._end_turn(name, waiting, reasons)
            return
        if moved:
            log.info("events that waited for their index are due", projection=name, events=moved)
        self._end_turn(name, waiting, reasons if moved == BATCH else frozenset())

    def _take_turn(self, waiting: WaitingEvents, events: int) -> frozenset[Reason]:
        """The reasons for which the next batch waits, if this thread is to bring it forward now."""
        with self._lock:
            now, waiting.delivered = monotonic(), waiting.delivered + events
            early = now < waiting.next_step and waiting.delivered < BATCH / 2
            if early or not waiting.reasons:  # or another thread does it
                return frozenset()
            reasons, waiting.reasons = waiting.reasons, frozenset()
            waiting.delivered, waiting.next_step = 0, now + STEP
            return reasons

    def _end_turn(self, name: str, waiting: WaitingEvents, left: frozenset[Reason]) -> None:
        with self._lock:
            if left:
                self._wait_for(name, left)
            elif not waiting.reasons:
                self._waiting.pop(name, None)


class Blocked:
    """Projections that are left alone for a moment, because their index or their view was away just now.

    By name; search_index has an empty one. Thread-safe without a lock: each entry is replaced as a whole.
    """

    def __init__(self) -> None:
        self._blocked: dict[str, tuple[float, Classification]] = {}  # until when, and why

    def finding(self, name: str) -> Classification | None:
        """What becomes of events that are not tried, with their attempt; None where they are to be tried."""
        until, why = self._blocked.get(name, (0.0, None))
        return replace(why, attempt_returned=True) if why and monotonic() < until else None

    def block(self, name: str, why: Classification) -> None:
        """Leave this projection alone from now on."""
        pause = PASSING_PAUSE if why.passing else PAUSE
        self._blocked[name] = monotonic() + pause, why

    def learn(self, name: str, judged: Sequence[tuple[Claimed, Classification]]) -> None:
        """Leave it alone if all of these events, which were tried, wait for its index or its view."""
        if outage := outage_of_all(judged):
            self.block(name, outage)
