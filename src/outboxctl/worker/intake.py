"""Taking work in: as much as the sink can take now, and reclaimed events one by one."""

from time import monotonic
from typing import NamedTuple
from uuid import uuid4

from outboxctl.core import snapshot
from outboxctl.core.claim import Claimed, claim
from outboxctl.errors import OutboxctlError, UnreachableError
from outboxctl.worker.lease import Lease
from outboxctl.worker.shared import Shared

TICK = 0.02  # seconds between two looks at an open circuit or a full pipeline
FIRST_WAIT = 0.01  # seconds before the second look at an empty table; doubles up to the poll interval
TURN = 1.0  # seconds that reclaimed events come first, and then the others


class Batch(NamedTuple):
    """A claim in hand."""

    lease: Lease
    events: list[Claimed]

    @property
    def alone(self) -> bool:
        """Whether it is a reclaimed event: what ended its worker must take nothing else with it."""
        return self.events[0].reclaimed


class Intake:
    """Looks for work; to be used by one lane at a time, behind the turnstile."""

    def __init__(self, shared: Shared, *, drain: bool) -> None:
        self._shared, self._settings, self._drain = shared, shared.settings, drain

    def next(self) -> Batch | None:
        """Wait for work; None when the worker stops or, with `drain`, when nothing is due."""
        wait = FIRST_WAIT
        while not self._shared.stopping.is_set():
            size = self._room()
            if not size:
                if self._drain and self._drained():
                    return None
                self._shared.stopping.wait(TICK)
                continue
            batch = self._take(size)
            if batch or self._drain:
                return batch
            self._shared.stopping.wait(wait)
            wait = min(wait * 2, self._settings.poll_interval_seconds)
        return None

    def _room(self) -> int:
        size = self._shared.throttle.admit(self._settings.bulk_size, self._shared.in_flight())
        return self._shared.breaker.admit(size) if size else 0

    def _drained(self) -> bool:
        """Whether nothing is due while the sink takes nothing. Raises if it is away and something is."""
        with self._shared.database.begin() as connection:
            due = snapshot.anything_due(connection)
        if due and self._shared.breaker.is_open and not self._shared.held:
            raise UnreachableError("the sink is away and events are due", hint="check ELASTIC_URL")
        return not due

    def _take(self, size: int) -> Batch | None:
        """Reclaimed events and the others come first in turn, so that neither starve."""
        reclaimed_first = int(monotonic() / TURN) % 2 == 0
        batch = self._claim(size, alone=reclaimed_first)
        if not batch and not reclaimed_first:
            batch = self._claim(size, alone=True)
        if not batch:
            self._shared.breaker.no_news()
        return batch

    def _claim(self, size: int, *, alone: bool) -> Batch | None:
        s, token, asked_at, sent = self._settings, str(uuid4()), monotonic(), False
        try:
            with self._shared.database.begin() as connection:
                sent = True
                events = claim(
                    connection, owner=s.worker_id, token=token, size=size, lease=s.lease_seconds, alone=alone
                )
        except OutboxctlError:
            if sent:
                self._shared.lost.add(token)  # it may have committed
            raise
        self._shared.health.report("database", None, observer="lane")
        if not events:
            return None
        lease = Lease(token, s.lease_seconds, len(events), asked_at=asked_at)
        self._shared.held[token] = lease
        return Batch(lease, events)
