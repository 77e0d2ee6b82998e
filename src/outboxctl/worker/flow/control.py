"""What may be sent, and how much: the states of the sink and of each projection, for all threads.

`outboxctl.domain.flow` has the transitions; here is their lock, and what a change of a state is told to.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import inf
from random import Random
from threading import get_ident
from typing import NamedTuple

from outboxctl.core.stats.workers import Outage
from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Classification, Reason, all_done
from outboxctl.domain.flow.index_state import FEW, PAUSE, Document, IndexState
from outboxctl.domain.flow.lanes import RECENT, Leases, others_wait, without_share
from outboxctl.domain.flow.sink_state import PROBE_EVENTS, STANDSTILL, SinkPolicy, SinkState
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.settings import OutagePolicy
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.single_requests import document_of
from outboxctl.worker.health import Problem, problem_of


class Choice(NamedTuple):
    """What the next claim may take: no events of `closed` projections, and of some only so many (`sizes`).

    search_index, the built-in projection, has an empty name. `limited`: slow ones are among `closed` until a
    batch ends.
    """

    closed: Collection[str]
    sizes: Mapping[str, int]
    limited: bool = False


class FlowControl:
    """Any thread may call any method.

    An index of search_index that is missing at the start was never created, or its name is misspelt: it is
    closed until it has existed once (`missing`). One that is deleted later is an outage, of the sink where no
    other projection is in force (`declared`).
    """

    def __init__(self, context: WorkerContext) -> None:
        s = context.settings
        self._context, self._settings, self._lanes = context, s, s.concurrency
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
        self._size = s.bulk_size  # of a batch, by the last documents
        self._sink = SinkState(s.bulk_size * s.concurrency, s.bulk_size * s.concurrency)
        self._indexes = dict[str, IndexState]()  # of what had events
        self._existed = False
        self.declared: Collection[str] = ()
        self.missing = ""  # why search_index cannot be delivered since the start; empty: it can
        self._missing_since: float | None = None
        self._report()

    @property
    def away(self) -> bool:
        """Whether the sink takes nothing at all: the circuit is open."""
        return self._sink.away

    @property
    def why_away(self) -> Reason | None:
        """Why the circuit is open; None while it is not."""
        return self._sink.why.reason if self._sink.why else None

    @property
    def holds_events(self) -> bool:
        """Whether an outage holds events back. Under `count` none is held: each has its own retry."""
        return self.holds and self._sink.away

    def admit(self) -> int:
        """Events that may be claimed now; while the sink is away this thread becomes its probe. 0: none."""
        size, in_flight, who = self._settings.bulk_size, self._context.in_flight.events(), get_ident()
        with self._lock:
            sink = self._sink.resized(self._size * self._lanes)
            self._sink, size = sink.admitted(size, in_flight, monotonic(), self._policy, who=who)
        return size

    def choice(self, size: int, *, probing: bool) -> Choice:
        """What a claim of `size` events may take; without `probing` no index is probed by it."""
        leases = self._leases()
        with self._lock:
            now, states = monotonic(), self._indexes
            closed = {n for n, s in states.items() if s.why and (s.closed(now) or not probing)}
            if self.missing:
                closed.add("")
            sizes = {name: self._size_of(name, state, size) for name, state in states.items()}
            sizes |= {name: min(FEW, size) for name in self.declared if name not in states}
            without = set[str]()
            if len(sizes) > 1:
                without = without_share(leases, states, self._lanes, now)
                if others_wait(leases, states, self._lanes, now):
                    sizes |= {name: state.quick(sizes[name]) for name, state in states.items()}
        smaller = {name: own for name, own in sizes.items() if own < size}
        return Choice(sorted(closed | without), smaller, bool(without))

    def takes_more(self, name: str) -> bool:
        """Whether a claim that probes nothing may take events of this projection: `choice`, of it alone."""
        leases = self._leases()
        with self._lock:
            if self._state(name).why or (self.missing and not name):
                return False
            several = len({*self._indexes, *self.declared}) > 1
            closed = without_share(leases, self._indexes, self._lanes, monotonic()) if several else ()
            return name not in closed

    def together(self, name: str, *, spare: int = 1) -> int:
        """How many documents of a projection may have one event, and be sent at once; 0 while one may fail.

        `spare`: so many times the number that their size and their pace leave room for.
        """
        leases, bulk_size = self._leases(), self._settings.bulk_size
        with self._lock:
            state, sink = self._state(name), self._sink
            if state.why or sink.away:
                return 0
            size = state.size(bulk_size, self._settings.max_batch_bytes)
            if others_wait(leases, self._indexes, self._lanes, monotonic()):
                size = state.quick(size)
        return min(spare * size, bulk_size, sink.room)

    def declare(self, names: Collection[str]) -> None:
        """Take the projections in force; others are forgotten once they have no events and no outage."""
        self.declared = names
        kept = {"", *names, *(lease.name for lease in self._context.in_flight.leases())}
        with self._lock:
            since = monotonic() - RECENT
            states = self._indexes.items()
            self._indexes = {n: state for n, state in states if n in kept or state.next_probe > since}

    def _leases(self) -> Leases:
        leases = self._context.in_flight.leases()
        return [(lease.name, lease.requested_at) for lease in leases if lease.name is not None]

    def _state(self, name: str) -> IndexState:
        """That of a projection without events has few of them at first: its view may be slow."""
        return self._indexes.get(name) or IndexState(limit=FEW if name else None)

    def _size_of(self, name: str, state: IndexState, most: int) -> int:
        size = state.size(most, self._settings.max_batch_bytes)
        return min(size, PROBE_EVENTS) if state.why and self._settings.holds(name) else size

    def claimed(self, name: str) -> None:
        """Events of a projection were claimed by this thread: of a closed index it is the probe."""
        with self._lock:
            state = self._indexes.setdefault(name, self._state(name))
            if state.why and state.prober is None:
                self._indexes[name] = replace(state, prober=get_ident())

    def end_probe(self) -> None:
        """The probes of this thread, if it has any, are over, however they ended."""
        who = get_ident()
        with self._lock:
            self._sink = self._sink.probe_ended(who)
            for name, state in self._indexes.items():
                if state.prober == who:
                    self._indexes[name] = replace(state, prober=None, next_probe=monotonic() + PAUSE)

    def nothing_due(self) -> None:
        """No event is due: where this thread is a probe under `hold`, the sink could refuse nothing."""
        if self.holds and self._sink.prober == get_ident():
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

    def _is_recent(self, seen: float, now: float) -> bool:
        """Whether a wait is still confirmed: its last event may have been another worker's."""
        return seen > now - self._settings.max_backoff_seconds - STANDSTILL

    def probed(self, finding: Classification | None) -> None:
        """Take the result of a probe of the sink: None if the index of search_index exists."""
        self._existed = self._existed or finding is None
        missing = finding is not None and finding.reason is Reason.INDEX_UNAVAILABLE
        self.missing = finding.error if finding and missing and not self._existed else ""
        self._missing_since = (self._missing_since or monotonic()) if self.missing else None

    def outages(self) -> list[Outage]:
        """What takes nothing now, the sink or the index or view of a projection, and since when."""
        sink, now, found = self._sink, monotonic(), list[Outage]()
        if sink.away and sink.refused_since is not None and sink.refusal:
            found.append(Outage(None, str(sink.refusal.reason), now - sink.refused_since))
        if self.missing and self._missing_since is not None:
            found.append(Outage(PROJECTION, Reason.INDEX_UNAVAILABLE, now - self._missing_since))
        with self._lock:
            indexes = list(self._indexes.items())
        for name, index in indexes:
            if index.why and index.away_since is not None and self._is_recent(index.next_probe, now):
                found.append(Outage(name or PROJECTION, str(index.why.reason), now - index.away_since))
        return found

    def closed(self) -> list[str]:
        """The projections of which nothing may be claimed now because of their index or view."""
        with self._lock:
            now = monotonic()
            found = {name for name, state in self._indexes.items() if state.closed(now)}
        return sorted(found | ({""} if self.missing else set()))

    def next_probe(self) -> float:
        """When to look again because of a closed index (monotonic); `inf`: not because of one."""
        with self._lock:
            now, states = monotonic(), self._indexes.values()
            times = (s.next_probe if s.prober is None else now + PAUSE for s in states if s.why)
            return min((time for time in times if time > now), default=inf)

    def out(self) -> dict[str, str | None]:
        """The projections of which nothing is claimed because of their index or view, and why.

        None where a drain goes on: the outage passes, costs attempts and so ends, or is not confirmed yet.
        """

        def lasts(name: str, state: IndexState, why: Classification) -> bool:
            holds = self._settings.holds(name) or why.attempt_returned
            confirmed = state.next_probe - (state.away_since or 0.0) >= 2 * PAUSE
            return holds and confirmed and not why.passing

        with self._lock:
            found = {
                name: state.why.error if lasts(name, state, state.why) else None
                for name, state in self._indexes.items()
                if state.why
            }
        return found | ({"": self.missing} if self.missing else {})

    def suspects(self, name: str) -> Collection[Document]:
        """Return the documents of a projection that are sent alone: they had no answer alone."""
        state = self._indexes.get(name)
        return state.suspects if state else ()

    def learn(self, name: str, actions: Sequence[BulkAction], delivery: Delivery, *, sent_at: float) -> None:
        """Adapt to a delivery of a projection that began at `sent_at` (monotonic)."""
        findings, policy, who = delivery.findings, self._policy, get_ident()
        with self._lock:
            now, rng = monotonic(), self._rng
            self._sink = self._sink.after(findings, sent_at=sent_at, now=now, policy=policy, rng=rng, who=who)
            state = self._state(name)
            if self._settings.holds(name) and (state.suspects or not all_done(findings)):
                self._indexes[name] = state.record_delivery([*map(document_of, actions)], findings, now)
        self._report()

    def sized(self, name: str, delivery: Delivery, documents: int, *, left_out: bool) -> None:
        """Take the size of the documents of a batch; `left_out`: there was no room for others."""
        if delivery.requests and delivery.whole:
            size = delivery.requests[0].size
            with self._lock:
                state = self._indexes[name] = self._state(name).sized(documents, size, left_out=left_out)
                bulk_size, most_bytes = self._settings.bulk_size, self._settings.max_batch_bytes
                self._size = replace(state, limit=None).size(bulk_size, most_bytes)

    def late(self, name: str, events: int) -> None:
        """So many documents of a projection took too long to read."""
        with self._lock:
            self._indexes[name] = self._state(name).late(events)

    def _report(self) -> None:
        """Under `count` readiness is left to the probe of maintenance: nothing may be due for hours."""
        with self._reporting:
            sink, health = self._sink, self._context.health
            health.taken_at, why = sink.taken_at, sink.why if self.holds else None
            if why is not self._reported:
                self._reported = why
                problem = problem_of(why, begin="circuit open: ") if why else None
                health.report("sink", problem, observer="lane")
            self._context.metrics.set("circuit_open", self.holds_events)
            self._context.metrics.set("inflight_limit", sink.room)

    def judged(self, name: str, findings: Sequence[Classification]) -> int:
        """Take the findings of a batch; how many in a row were outages of its index, or its view."""
        with self._lock:
            state = self._indexes[name] = self._state(name).after(findings, monotonic(), who=get_ident())
        return state.failures

    def ended(self, name: str, events: int, requested_at: float) -> None:
        """A batch of so many events, claimed at `requested_at`, was settled."""
        with self._lock:
            now = monotonic()
            seconds, most = now - requested_at, self._settings.bulk_size
            self._indexes[name] = self._state(name).ended(events, seconds, now, most)
