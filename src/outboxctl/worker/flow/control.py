"""Whether anything may be sent, and how much: the states of the sink and of each index, for all threads.

`outboxctl.domain.flow` has the transitions; here is their lock, and what a change of a state is told to.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import structlog

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.leases import BATCH, bring_forward
from outboxctl.core.stats.workers import Outage
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.flow import STANDSTILL, IndexState, SinkPolicy, SinkState, outage_of_index
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.settings import OutagePolicy
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.claiming.batch_sizer import BatchSizer
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.suspects import Suspects
from outboxctl.worker.health import Problem, problem_of
from outboxctl.worker.lane.prepare import Prepared
from outboxctl.worker.settling.outcome import Outcomes

log = structlog.get_logger()


class FlowControl:
    """Any thread may call any method. search_index, the built-in projection, has an empty name.

    An index of search_index that is missing at the start was never created, or its name is misspelt: nothing
    is claimed until it has existed once, or, while other projections are in force (`serves_others`, set by
    maintenance), its events are put back untried. A sink that does not answer, and an index that is deleted
    later, are outages.
    """

    def __init__(self, context: WorkerContext, batch_sizer: BatchSizer) -> None:
        s = context.settings
        self._context, self._lanes, self._sizer = context, s.concurrency, batch_sizer
        self.holds = s.outage_policy is OutagePolicy.HOLD
        self._policy = SinkPolicy(
            self.holds,
            s.base_backoff_seconds,
            s.max_backoff_seconds,
            longest_pause=s.max_backoff_seconds,
            unanswered=s.concurrency if self.holds else 1,
            first=s.bulk_size,
        )
        self._rng = Random()  # noqa: S311 - jitter, not a secret
        self._lock, self._reporting = threading.Lock(), threading.Lock()
        self._reported: Classification | None = None
        self._sink = SinkState(s.bulk_size * s.concurrency, s.bulk_size * s.concurrency)
        self._indexes: dict[str, IndexState] = {}
        self._existed = self.serves_others = False
        self.missing = ""  # why search_index cannot be delivered since the start; empty: it can
        self._missing_since: float | None = None
        self.suspects = Suspects()
        self._report()

    @property
    def away(self) -> bool:
        """Whether the sink takes nothing at all: the circuit is open."""
        return self._sink.away

    @property
    def holds_events(self) -> bool:
        """Whether an outage holds events back. Under `count` none is held: each has its own retry."""
        return self.holds and self._sink.away

    @property
    def closed(self) -> bool:
        """Whether nothing may be claimed, because the index was never there."""
        return bool(self.missing) and not self.serves_others

    def admit(self) -> int:
        """Events that may be claimed now; while the sink is away this thread becomes its probe. 0: none."""
        if self.closed:
            return 0
        size, in_flight, who = self._sizer.size, self._context.in_flight.events(), threading.get_ident()
        with self._lock:
            sink = self._sink.resized(size * self._lanes)
            self._sink, size = sink.admitted(size, in_flight, monotonic(), self._policy, who=who)
        return size

    def end_probe(self) -> None:
        """The probe of this thread, if it has one, is over."""
        with self._lock:
            self._sink = self._sink.probe_ended(threading.get_ident())

    def nothing_due(self) -> None:
        """No event is due: where this thread is a probe under `hold`, the sink could refuse nothing."""
        if self.holds and self._sink.prober == threading.get_ident():
            with self._lock:
                self._sink = self._sink.answered(self._policy)
            self._report()

    def idle(self) -> None:
        """No event waits for anything."""
        with self._lock:
            self._sink = self._sink.idle()

    def standstill(self) -> Problem | None:
        """What keeps the sink from taking events, once that has lasted; None while it takes some."""
        if not (found := self._sink.standstill(monotonic())):
            return None
        seconds, refusal = found
        return problem_of(refusal, begin=f"nothing was taken for {seconds:.0f} s: ")

    def outages(self) -> list[Outage]:
        """What takes nothing now, the sink or the index or view of a projection, and since when."""
        sink, now, found = self._sink, monotonic(), list[Outage]()
        if sink.away and sink.refused_since is not None and sink.refusal:
            found.append(Outage(None, str(sink.refusal.reason), now - sink.refused_since))
        if self.missing and self._missing_since is not None:
            found.append(Outage(PROJECTION, Reason.INDEX_UNAVAILABLE, now - self._missing_since))
        # Its last event may have been another worker's: a state that is not confirmed any more is no news.
        recent = now - self._context.settings.max_backoff_seconds - STANDSTILL
        with self._lock:
            indexes = list(self._indexes.items())
        for name, index in indexes:
            if index.why and index.away_since is not None and index.closed_until > recent:
                found.append(Outage(name or PROJECTION, str(index.why.reason), now - index.away_since))
        return found

    def probed(self, finding: Classification | None) -> None:
        """Take the result of a probe of the sink: None if the index of search_index exists."""
        self._existed = self._existed or finding is None
        missing = finding is not None and finding.reason is Reason.INDEX_UNAVAILABLE
        self.missing = finding.error if finding and missing and not self._existed else ""
        self._missing_since = (self._missing_since or monotonic()) if self.missing else None

    def learn(self, prepared: Prepared, delivery: Delivery, *, sent_at: float) -> None:
        """Adapt to a delivery that began at `sent_at` (monotonic)."""
        findings, policy, who = delivery.findings, self._policy, threading.get_ident()
        with self._lock:
            now, rng = monotonic(), self._rng
            self._sink = self._sink.after(findings, sent_at=sent_at, now=now, policy=policy, rng=rng, who=who)
        if delivery.requests and delivery.whole:
            size = delivery.requests[0].size
            self._sizer.learn(len(prepared.actions), size, left_out=prepared.left_out)
        self._report()

    def _report(self) -> None:
        """Under `count` readiness is left to the probe of maintenance: nothing may be due for hours."""
        with self._reporting:
            sink, health = self._sink, self._context.health
            health.taken_at, why = sink.taken_at, sink.why if self.holds else None
            if why is not self._reported:
                self._reported = why
                problem = (
                    Problem(f"circuit open: {why.error}", f"circuit open: {why.public}") if why else None
                )
                health.report("sink", problem, observer="lane")
            self._context.metrics.set("circuit_open", self.holds_events)
            self._context.metrics.set("inflight_limit", sink.room)

    def untried(self, name: str) -> Classification | None:
        """What becomes of a projection's events that are put back untried; None where they may be sent."""
        if not name and self.missing and self.serves_others:
            text = brief(f"{Reason.INDEX_UNAVAILABLE}: {self.missing}")
            return Classification(
                Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE, error=text, single=True, attempt_returned=True
            )
        return self._index(name).untried(monotonic())

    def close(self, name: str, why: Classification) -> None:
        """Leave this projection alone for a moment: its index, or its view, is away."""
        with self._lock:
            self._indexes[name] = self._index(name).closed(why, monotonic())

    def judged(self, name: str, judged: Sequence[tuple[Claimed, Classification]]) -> None:
        """Leave it alone if all of these events, which were tried, wait for its index or its view."""
        if outage := outage_of_index([finding for _, finding in judged]):
            self.close(name, outage)

    def recovered(self, name: str) -> None:
        """A shard of its index takes documents again: its events are due from the next `settled` on."""
        with self._lock:
            self._indexes[name] = self._index(name).recovered()

    def spread(self, name: str, judged: Sequence[tuple[Claimed, Classification]], outcomes: Outcomes) -> None:
        """Lengthen the waits of events that none of could be delivered, or whose shard takes nothing."""
        if not outcomes.retries:
            return
        if self._paced(name) and outage_of_index([finding for _, finding in judged]):
            waiting, of_shard = outcomes.retries, False
        else:
            waiting = [each for each in outcomes.retries if outcomes.findings[each.id][1].of_shard]
            of_shard = True
        if waiting:
            with self._lock:
                index, waits = self._index(name).spread(len(waiting), monotonic(), of_shard=of_shard)
                self._indexes[name] = index
            later = {each.id: max(each.delay, wait) for each, wait in zip(waiting, waits, strict=True)}
            outcomes.retries = [
                replace(each, delay=later.get(each.id, each.delay)) for each in outcomes.retries
            ]

    def settled(self, name: str, delivered: int) -> None:
        """So many events of a projection were delivered: bring forward those that wait, if it is time.

        A database error is reported, and the next delivery tries again.
        """
        with self._lock:
            now, index = monotonic(), self._index(name)
            if delivered:
                index = index.taken(delivered, now, paced=self._paced(name))
            self._indexes[name], reasons = index.turn(now, BATCH)
        if not reasons:
            return
        try:
            with self._context.database.begin() as connection:
                moved = bring_forward(connection, name, reasons)
        except OutboxctlError as error:
            self._context.reporter.failed(error)
            moved = BATCH  # they still wait
        else:
            if moved:
                log.info("events that waited for their index are due", projection=name, events=moved)
        if moved == BATCH:
            with self._lock:
                self._indexes[name] = self._index(name).left(reasons)

    def _paced(self, name: str) -> bool:
        """Whether there are others that its events may hold up."""
        return bool(name) or self.serves_others

    def _index(self, name: str) -> IndexState:
        return self._indexes.get(name) or IndexState()
