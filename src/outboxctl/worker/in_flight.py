"""The claims that a worker holds, and those of which it does not know whether it holds them."""

import threading
from collections.abc import Collection

from outboxctl.core.database import Database
from outboxctl.core.delivery import settle
from outboxctl.domain.clock import monotonic
from outboxctl.worker.lease import Lease
from outboxctl.worker.signals import Signals

LONGEST_LOOK = 0.5  # seconds between two looks at leases that end by the clock


class InFlight:
    """The claims in hand, by lease token.

    Thread-safe: any thread may call any method; its lock is held for a few instructions, once or twice a
    batch. Lanes add and remove claims and wait for those of others; the renewal, the heartbeat, maintenance
    and the release at the end read them.
    """

    def __init__(self, signals: Signals, *, lease_seconds: float) -> None:
        self._signals, self._lease_seconds = signals, lease_seconds
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}
        self._exclusive: str | None = None  # the token of the claim beside which nothing is claimed
        self._unanswered: dict[str, float] = {}  # claims without an answer, until when they can hold events
        self._abandoned = False

    def add(self, lease: Lease, *, exclusive: bool = False) -> None:
        """Count this claim as in hand; an `exclusive` one until it is removed, whatever its lease."""
        with self._lock:
            self._leases[lease.token] = lease
            if exclusive:
                self._exclusive = lease.token
            if self._abandoned:
                lease.deadline.expire()

    def remove(self, token: str) -> None:
        """Count it no more: it is settled, empty, or left to its lease."""
        with self._lock:
            self._leases.pop(token, None)
            if self._exclusive == token:
                self._exclusive = None
        self._signals.changed()

    def answer_lost(self, token: str) -> None:
        """Note a claim that may hold events, or not: it is released again and again, for a lease."""
        with self._lock:
            self._unanswered[token] = monotonic() + self._lease_seconds

    def abandon(self) -> None:
        """Wait no longer for what is in hand: no request of a delivery starts from now on."""
        with self._lock:
            self._abandoned = True
            for lease in self._leases.values():
                lease.deadline.expire()
        self._signals.abandon()

    def leases(self) -> list[Lease]:
        """The claims in hand, without those whose lease has ended, whatever their lanes still do."""
        with self._lock:
            return [lease for lease in self._leases.values() if not lease.ended]

    def events(self) -> int:
        """How many events the lanes hold."""
        return sum(lease.size for lease in self.leases())

    def unanswered(self) -> list[str]:
        """The tokens of claims without an answer whose lease can still hold events."""
        with self._lock:
            now = monotonic()
            self._unanswered = {token: end for token, end in self._unanswered.items() if end > now}
            return list(self._unanswered)

    def tokens(self) -> set[str]:
        """All claims that may hold events."""
        with self._lock:
            tokens = set(self._leases)
        return tokens.union(self.unanswered())

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait at most `seconds` until nothing is in flight; False where something is, or the worker stops.

        A claim that has been renewed for longer than a lease is not waited for: it may take long.
        """
        end = monotonic() + seconds
        while self._young() and not self._signals.stopping and monotonic() < end:
            self._signals.wait_until(lambda: not self._young(), min(self._next_look(), end - monotonic()))
        return not (self._young() or self._signals.stopping)

    def _young(self) -> bool:
        since = monotonic() - self._lease_seconds
        return any(lease.requested_at > since for lease in self.leases())

    def wait_while_exclusive(self) -> bool:
        """Wait until no exclusive claim is in hand; False once the worker stops."""
        while self._exclusive and not self._signals.stopping:
            self._signals.wait_until(lambda: not self._exclusive, LONGEST_LOOK)
        return not self._signals.stopping

    def _next_look(self) -> float:
        ends = min((lease.ends for lease in self.leases()), default=0.0)
        return max(0.001, min(LONGEST_LOOK, ends - monotonic()))


def release(database: Database, tokens: Collection[str]) -> int:
    """Give back what these claims still hold, with their attempts; returns the number of events."""
    if not tokens:
        return 0
    with database.begin() as connection:
        return len(settle.release(connection, list(tokens)))


def still_held(database: Database, tokens: Collection[str]) -> int:
    """How many events of these claims could not be released: another session has locked them."""
    if not tokens:
        return 0
    with database.begin() as connection:
        return len(settle.held(connection, list(tokens)))
