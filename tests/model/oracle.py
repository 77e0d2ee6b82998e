"""What the outbox's rows must be after each act, worked out without SQL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.leases import SPARE
from outboxctl.domain.lifecycle import Status
from outboxctl.worker.settling.outcome import Outcomes

MAX_ATTEMPTS = 4  # with fewer, what was reclaimed never goes with others
LEASE = 10  # seconds
MAX_PROCESSING = 40  # seconds
MOST = timedelta(seconds=MAX_PROCESSING)
TABLE = """SELECT id::text, status, attempts, next_retry_at, lease_token::text, lease_until,
    num_nonnulls(owner, lease_token, lease_until, processing_started_at), processed_at IS NOT NULL
FROM search_outbox_events"""


@dataclass
class Row:
    """One event; `reclaimed` once its lease ran out, until it gets another reason.

    Reclaimed and `due` at some time, it goes with others; without a time, alone.
    """

    document_id: str
    version: int
    status: str = Status.PENDING
    attempts: int = 0
    due: datetime | None = None
    token: str | None = None
    lease_until: datetime | None = None
    started: datetime | None = None
    reclaimed: bool = False

    def leaves(self, status: Status, *, due: datetime | None = None, reclaimed: bool = False) -> None:
        """Nobody holds it any more."""
        self.status, self.due, self.reclaimed = status, due, reclaimed
        self.token = self.lease_until = self.started = None

    def seen(self) -> tuple[Any, ...]:
        """As TABLE must show it."""
        held = 4 if self.status == Status.PROCESSING else 0
        done = self.status == Status.DONE
        return (self.status, self.attempts, self.due, self.token, self.lease_until, held, done)

    def is_stuck(self, now: datetime) -> bool:
        """The lab document's section 2.2 B."""
        if self.lease_until is None or self.started is None:
            return False
        return self.lease_until < now or now - self.started > MOST


@dataclass
class Oracle:
    """All rows by id; each method is told of one act, and checks what that act answered."""

    rows: dict[str, Row] = field(default_factory=dict)

    def having(self, *states: Status) -> dict[str, Row]:
        """The rows in these states."""
        return {id_: row for id_, row in self.rows.items() if row.status in states}

    def held_by(self, token: str) -> dict[str, Row]:
        """The rows of one claim that are still its own."""
        return {id_: row for id_, row in self.rows.items() if row.token == token}

    def claimed(
        self, batch: Sequence[Claimed], token: str, size: int, now: datetime, *, reclaimed: int
    ) -> None:
        """A worker claimed: only what is due, reclaimed events apart, then retries before fresh ones."""
        due = {id_: r for id_, r in self.having(Status.PENDING).items() if r.due is None or r.due <= now}
        poison = {id_ for id_, row in due.items() if row.reclaimed}
        retries = {id_ for id_, row in due.items() if row.due is not None} - poison
        ids = {event.id for event in batch}
        once = {id_ for id_ in poison if due[id_].due is not None}
        if reclaimed and once:
            assert len(batch) == min(reclaimed, len(once))
            assert ids <= once, "what was reclaimed once goes with nothing else"
        elif reclaimed and poison:
            assert len(batch) == 1, "what was reclaimed again goes alone"
            assert ids <= poison
        else:
            assert ids <= due.keys() - poison
            assert len(batch) == min(size, len(due) - len(poison))
            fresh = due.keys() - poison - retries
            most = size - min(size // 2, len(fresh))
            assert len(ids & retries) == min(most, len(retries)), (
                "retries come first, and leave half to fresh"
            )
        for event in batch:
            row = self.rows[event.id]
            row.attempts, row.status, row.token, row.started = row.attempts + 1, "processing", token, now
            row.lease_until = now + timedelta(seconds=LEASE)
            assert event.attempts == row.attempts

    def settled(self, outcomes: Outcomes, token: str, hit: set[str], now: datetime) -> None:
        """A worker settled: it may hit exactly what it still holds."""
        mine = self.held_by(token)
        assert hit == mine.keys(), "what is settled is what the claim still holds"
        retries = {retry.id: retry for retry in outcomes.retries}
        failures = {failure.id for failure in outcomes.failures}
        for id_, row in mine.items():
            if id_ in outcomes.done:
                row.leaves(Status.DONE)
            elif id_ in failures:
                row.leaves(Status.FAILED)
            elif retry := retries.get(id_):
                assert retry.delay
                row.leaves(Status.PENDING, due=now + timedelta(seconds=retry.delay))
                row.attempts -= retry.attempt_returned
            else:
                self._given_back(row)

    def released(self, token: str, hit: set[str]) -> None:
        """A worker gave its claim back."""
        mine = self.held_by(token)
        assert hit == mine.keys()
        for row in mine.values():
            self._given_back(row)

    def renewed(self, token: str, kept: bool, now: datetime) -> None:
        """A worker asked for more time: it gets it up to the longest processing time."""
        young = [r for r in self.held_by(token).values() if r.started and now - r.started < MOST]
        assert kept == bool(young)
        for row in young:
            row.lease_until = now + timedelta(seconds=LEASE)

    def reclaimed(self, pending: int, failed: int, now: datetime) -> None:
        """Maintenance freed what was stuck."""
        stuck = [row for row in self.rows.values() if row.is_stuck(now)]
        states = [self._reclaim(row, now) for row in stuck]
        assert (pending, failed) == (states.count(Status.PENDING), states.count(Status.FAILED))

    def _reclaim(self, row: Row, now: datetime) -> str:
        with_others = row.reclaimed and row.due is not None
        if with_others:
            row.attempts -= 1
            row.leaves(Status.PENDING, reclaimed=True)
        elif row.attempts >= MAX_ATTEMPTS:
            row.leaves(Status.FAILED, reclaimed=True)
        else:
            once = not row.reclaimed and MAX_ATTEMPTS - row.attempts >= SPARE
            row.leaves(Status.PENDING, due=now if once else None, reclaimed=True)
        return row.status

    def replayed(self, ids: Sequence[str]) -> None:
        """An operator replayed: each as new."""
        for id_ in ids:
            assert self.rows[id_].status == Status.FAILED
            self.rows[id_].leaves(Status.PENDING)
            self.rows[id_].attempts = 0

    def check(self, table: Iterable[tuple[Any, ...]]) -> None:
        """The table holds these rows and no others."""
        assert {row[0]: row[1:] for row in table} == {id_: row.seen() for id_, row in self.rows.items()}
        assert all(row.attempts <= MAX_ATTEMPTS for row in self.rows.values())

    def _given_back(self, row: Row) -> None:
        row.leaves(Status.PENDING, due=row.due, reclaimed=row.reclaimed)
        row.attempts -= 1
