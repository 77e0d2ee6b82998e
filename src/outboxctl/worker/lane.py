"""A lane: one thread that claims, delivers and settles, batch by batch."""

import threading
from collections import Counter
from collections.abc import Sequence
from random import Random
from time import monotonic, time
from typing import Protocol
from uuid import uuid4

import structlog

from outboxctl.core import settle
from outboxctl.core.claim import Claimed, claim
from outboxctl.core.database import Database
from outboxctl.errors import OutboxctlError
from outboxctl.lifecycle import op_label
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import Settings
from outboxctl.sink.bulk import Action
from outboxctl.sink.deliver import Delivery
from outboxctl.worker.health import Health
from outboxctl.worker.outcome import Outcomes, RetryPolicy, decide
from outboxctl.worker.prepare import judge, prepare

log = structlog.get_logger()
FIRST_WAIT = 0.01  # seconds before the second look at an empty table; doubles up to the poll interval


class Sink(Protocol):
    """Where batches go."""

    def deliver(self, actions: Sequence[Action]) -> Delivery:
        """Send the actions; one finding an action, nothing raised."""
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
        self.error: OutboxctlError | None = None
        self.held: set[str] = set()  # lease tokens that this worker may still hold


class Lane:
    """One lane; `run` returns when the worker stops or, with `drain`, when nothing is due."""

    def __init__(self, shared: Shared, *, drain: bool, rng: Random | None = None) -> None:
        self._shared, self._settings, self._drain = shared, shared.settings, drain
        s = shared.settings
        self._policy = RetryPolicy(s.max_attempts, s.base_backoff_seconds, s.max_backoff_seconds)
        self._rng = rng or Random()  # noqa: S311 - jitter, not a secret

    def run(self) -> None:
        """Turn until told to stop; an error of the database costs a turn, never the lane.

        With `drain` there is an end to report to: the error is kept in `shared.error`.
        """
        while not self._shared.stopping.is_set():
            try:
                if not self._turn():
                    return
                self._shared.health.report("database", None, observer="lane")
            except OutboxctlError as error:
                self._shared.health.report("database", str(error), observer="lane")
                if self._drain:
                    self._shared.error = error
                    return
                self._shared.stopping.wait(min(1.0, self._settings.poll_interval_seconds))

    def _turn(self) -> bool:
        """One batch; False when there was none and there will be none."""
        token, batch = self._next_batch()
        if not batch:
            return False
        self._shared.metrics.add("inflight", len(batch))
        try:
            self._process(token, batch)
        finally:
            self._shared.metrics.add("inflight", -len(batch))
        return True

    def _next_batch(self) -> tuple[str, list[Claimed]]:
        wait = FIRST_WAIT
        with self._shared.turnstile:
            while not self._shared.stopping.is_set():
                token = str(uuid4())
                batch = self._claim(token)
                if batch or self._drain:
                    return token, batch
                self._shared.stopping.wait(wait)
                wait = min(wait * 2, self._settings.poll_interval_seconds)
        return "", []

    def _claim(self, token: str) -> list[Claimed]:
        # Held before the claim commits: if its answer is lost, the token still lets us give it back.
        self._shared.held.add(token)
        with self._shared.database.begin() as connection:
            batch = claim(
                connection,
                owner=self._settings.worker_id,
                token=token,
                size=self._settings.bulk_size,
                lease=self._settings.lease_seconds,
            )
        if not batch:
            self._shared.held.discard(token)
        return batch

    def _process(self, token: str, batch: list[Claimed]) -> None:
        if self._shared.stopping.is_set():
            release_all(self._shared, [token])
            return
        prepared = prepare(batch)
        started = monotonic()
        delivery = self._shared.sink.deliver(prepared.actions) if prepared.actions else Delivery([], [])
        self._observe(prepared.actions, delivery, monotonic() - started)
        outcomes = decide(judge(prepared, delivery.findings), self._policy, self._rng)
        self._settle(token, outcomes)
        self._shared.held.discard(token)

    def _settle(self, token: str, outcomes: Outcomes) -> None:
        hit: set[str] = set()
        with self._shared.database.begin() as connection:
            if outcomes.done:
                hit |= settle.complete(connection, token, outcomes.done)
            if outcomes.retries:
                hit |= settle.retry(connection, token, outcomes.retries)
            if outcomes.failures:
                hit |= settle.fail(connection, token, outcomes.failures)
        self._count(outcomes, hit)
        lost = len(outcomes.findings) - len(hit)
        if lost:
            self._shared.metrics.count("lease_lost", lost)
            log.warning("lease lost: another worker has these events now", events=lost)

    def _observe(self, actions: list[Action], delivery: Delivery, seconds: float) -> None:
        metrics = self._shared.metrics
        for result in delivery.requests:
            metrics.request(result)
        if actions:
            metrics.delivery(seconds)
        pairs = zip(actions, delivery.findings, strict=True)
        tally = Counter(("delete" if a.document is None else "upsert", f.verdict.value) for a, f in pairs)
        for (op, verdict), count in tally.items():
            metrics.item(op, verdict, count)

    def _count(self, outcomes: Outcomes, hit: set[str]) -> None:
        """Count what was written, and only that: an event that was not ours is nobody's success."""
        metrics, found = self._shared.metrics, outcomes.findings
        done = [found[id_] for id_ in outcomes.done if id_ in hit]
        for op, count in Counter(op_label(event.op) for event, _ in done).items():
            metrics.processed(op, count)
        noops = Counter((op_label(event.op), finding.noop) for event, finding in done if finding.noop)
        for (op, noop), count in noops.items():
            if noop:
                metrics.noop(op, noop, count)
        if done:
            self._shared.health.succeeded()
            metrics.set("last_success", time())
        for name, rows in (("retried", outcomes.retries), ("terminal", outcomes.failures)):
            self._count_not_done(name, outcomes, [row for row in rows if row.id in hit])

    def _count_not_done(
        self, name: str, outcomes: Outcomes, rows: Sequence[settle.Retry | settle.Failure]
    ) -> None:
        tally = Counter((op_label(outcomes.findings[r.id][0].op), r.reason) for r in rows)
        for (op, reason), count in tally.items():
            self._shared.metrics.not_done(name, op, reason, count)
        if rows:
            reasons = dict(Counter(row.reason.value for row in rows))
            what = "events failed for good" if name == "terminal" else "events will be retried"
            log.warning(what, events=len(rows), reasons=reasons, example=rows[0].id, error=rows[0].error)


def release_all(shared: Shared, tokens: Sequence[str]) -> int:
    """Give back whatever these claims still hold, with their attempts; returns the number of events."""
    released = 0
    for token in tokens:
        with shared.database.begin() as connection:
            released += len(settle.release(connection, token))
        shared.held.discard(token)
    return released
