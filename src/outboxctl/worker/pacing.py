"""Waits of events whose projection cannot be delivered at all, so that they hold up no other's.

Retries are claimed before fresh events. Each event that waits for a missing index would come back within
MAX_BACKOFF: 50,000 of them take 2,000 claims a second, and fresh events of other projections wait behind
them (docs/adr/0045). So a worker spreads their waits out, and brings them forward once a delivery succeeds.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from math import ceil

import structlog

from outboxctl.core.database import Database
from outboxctl.core.delivery.brought_forward import BATCH, bring_forward
from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.settle import Retry
from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.signals import Signals

log = structlog.get_logger()
RATE = 200.0  # events a second that one worker tries again while their projection cannot be delivered
LONGEST = 600.0  # seconds that such an event waits at most
AGAIN = 30.0  # seconds between two times that a projection's events are brought forward
SHARDS = "/shards"  # behind a projection's name: its events whose shard takes nothing
# Outages of one index: the sink itself may take the documents of others.
OF_ONE_INDEX = frozenset(
    {Reason.INDEX_UNAVAILABLE, Reason.WRITE_BLOCKED, Reason.UNAVAILABLE, Reason.AUTH, Reason.CONFIG}
)


def outage_of_all(judged: Sequence[tuple[Claimed, Classification]]) -> Classification | None:
    """The finding of the first of these events, if all wait for the index or the view of their projection."""
    findings = [finding for _, finding in judged]
    waits = (
        f.verdict is Verdict.OUTAGE and f.single and not f.of_shard and f.reason in OF_ONE_INDEX
        for f in findings
    )
    return findings[0] if findings and all(waits) else None


class Pacing:
    """Shared by the lanes of one worker; thread-safe. search_index has an empty name."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database, self._signals = database, signals
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}  # when the next event may come back (monotonic)
        self._delivered: dict[str, float] = {}  # when its events were brought forward last

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
        waits = (min(LONGEST, ceil(first + place / RATE) - now) for place in range(len(retries)))
        return [replace(each, delay=max(each.delay, wait)) for each, wait in zip(retries, waits, strict=True)]

    def delivered(self, name: str) -> None:
        """Events of this projection were delivered: bring those forward that wait. Raises OutboxctlError.

        Also at the first delivery of this process: another one may have put them back.
        """
        with self._lock:
            now, known = monotonic(), name in self._delivered
            paced = self._next.get(name, 0.0) > now
            if (known and not paced) or now < self._delivered.get(name, now - AGAIN) + AGAIN:
                return
            self._next.pop(name, None)
            self._delivered[name] = now
        self._bring_forward(name, OF_ONE_INDEX)

    def shard_recovered(self, name: str) -> None:
        """A shard takes documents again: bring its events forward. Raises OutboxctlError."""
        with self._lock:
            self._next.pop(name + SHARDS, None)
        self._bring_forward(name, frozenset({Reason.UNAVAILABLE}))

    def _bring_forward(self, name: str, reasons: Collection[Reason]) -> None:
        total, moved = 0, BATCH
        while moved == BATCH and not self._signals.stopping:
            with self._database.begin() as connection:
                moved = bring_forward(connection, name, reasons)
            total += moved
        if total:
            log.info("events that waited for their index are due", projection=name, events=total)
