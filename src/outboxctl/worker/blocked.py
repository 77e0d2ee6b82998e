"""Projections that are left alone for a second, because their index or their view was away just now."""

from collections.abc import Sequence
from dataclasses import replace

from outboxctl.core.delivery.claim import Claimed
from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Classification
from outboxctl.worker.pacing import outage_of_all

PAUSE = 1.0  # seconds
PASSING_PAUSE = 0.25  # for what ends by itself within seconds


class Blocked:
    """By name; search_index has an empty one.

    Thread-safe without a lock: each entry is replaced as a whole.
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
