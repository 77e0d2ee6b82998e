"""The state of the sink as a whole: how many events may be in flight, and the probes of an outage."""

from dataclasses import dataclass, replace
from math import inf
from random import Random

from outboxctl.domain import backoff
from outboxctl.domain.failures import DONE, Classification, Reason, Verdict, all_done
from outboxctl.domain.flow.signals import OF_THE_SINK, Findings, Signal, signal_of

LONGEST_STEP = 5.0  # seconds between two probes at the most, so that recovery is soon noticed
PROBE_EVENTS = 10  # of a probe under `hold`: of several shards, so that one that is unavailable is not all
STEPS = 20  # successful windows from nothing back to the full number of events in flight
STANDSTILL = 10.0  # seconds in which nothing that was sent is taken, until that is a problem


@dataclass(frozen=True)
class SinkPolicy:
    """How an outage of the sink is gone through; times in seconds."""

    hold: bool  # an outage holds events back, and a probe is a few of them; else a probe is a whole batch
    base: float  # and `cap` of the pauses between probes
    cap: float
    longest_pause: float  # that the sink may ask for
    unanswered: int  # how many deliveries may go unanswered at once, because of one node
    first: int  # events in flight after an outage: many workers must not send full batches at once


@dataclass(frozen=True)
class SinkState:
    """The sink as a whole.

    `limit` is halved by an overload, at most once for what was sent before `cut_at`, and raised step by step
    (as in TCP: many workers reach their shares of the sink without communication).
    """

    most: float
    limit: float  # events that may be in flight, at most `most`
    cut_at: float = 0.0
    paused_until: float = 0.0  # nothing is sent before
    failures: int = 0  # outages in a row, the last one for `why`
    unanswered: int = 0  # deliveries in a row without an answer
    next_probe: float = 0.0  # after failures nothing is sent before, and then by one prober at a time
    prober: int | None = None
    why: Classification | None = None
    taken_at: float = -inf
    refused_since: float | None = None  # since when nothing was taken, with the last `refusal`
    refusal: Classification | None = None

    @property
    def away(self) -> bool:
        """Whether the last deliveries were an outage: the circuit is open."""
        return self.failures > 0

    @property
    def room(self) -> int:
        """Events that may be in flight now; never less than one."""
        return max(1, int(self.limit))

    def resized(self, most: float) -> "SinkState":
        """Batches have become larger or smaller: the limit changes in proportion."""
        return replace(self, most=most, limit=self.limit * most / self.most)

    def admitted(
        self, size: int, in_flight: int, now: float, policy: SinkPolicy, *, who: int
    ) -> tuple["SinkState", int]:
        """How many of `size` events may be claimed now; while the sink is away `who` becomes its probe."""
        size = 0 if now < self.paused_until else max(0, min(size, self.room - in_flight))
        if not (size and self.away):
            return self, size
        if self.prober is not None or now < self.next_probe:
            return self, 0
        return replace(self, prober=who), min(size, PROBE_EVENTS) if policy.hold else size

    def probe_ended(self, who: int) -> "SinkState":
        """The probe of `who`, if it has one, is over, however it ended."""
        return replace(self, prober=None) if self.prober == who else self

    def after(
        self, findings: Findings, *, sent_at: float, now: float, policy: SinkPolicy, rng: Random, who: int
    ) -> "SinkState":
        """The findings of a delivery of `who` that began at `sent_at`."""
        well = self.limit >= self.most and not (self.failures or self.unanswered)
        if well and findings and all_done(findings):
            return replace(self, taken_at=now, refused_since=None)  # the hot path
        state = self._loaded(findings, sent_at, now, policy)._taken(findings, sent_at, now)
        signal, why = signal_of(findings, hold=policy.hold)
        if signal is Signal.ANSWER:
            return state.answered(policy)
        unanswered = state.unanswered + (signal is Signal.UNANSWERED)
        state = replace(state, unanswered=unanswered) if unanswered != state.unanswered else state
        if signal is Signal.OUTAGE or (
            signal is Signal.UNANSWERED and (self.away or state.unanswered > policy.unanswered)
        ):
            failures = state.failures + 1
            wait = backoff.delay(failures, base=policy.base, cap=min(policy.cap, LONGEST_STEP), rng=rng)
            return replace(state.probe_ended(who), failures=failures, next_probe=now + wait, why=why)
        return state

    def answered(self, policy: SinkPolicy) -> "SinkState":
        """The sink answers, or there is nothing to send."""
        if not (self.failures or self.unanswered):
            return self
        limit = min(self.limit, policy.first) if self.away else self.limit
        return replace(self, failures=0, unanswered=0, prober=None, limit=limit, why=None)

    def idle(self) -> "SinkState":
        """No event waits."""
        return replace(self, refused_since=None)

    def standstill(self, now: float) -> tuple[float, Classification] | None:
        """For how many seconds nothing was taken, once that has lasted, and what refuses it."""
        if self.refused_since is None or self.refusal is None or now - self.refused_since <= STANDSTILL:
            return None
        return now - self.refused_since, self.refusal

    def _loaded(self, findings: Findings, sent_at: float, now: float, policy: SinkPolicy) -> "SinkState":
        """Overloaded: half of the items are rejected, not one in a thousand; or time was too short."""
        others = [f for f in findings if f is not DONE]  # mostly none
        limited = [f for f in others if f and f.reason is Reason.RATE_LIMITED]
        unsent = None in others and any(findings)
        if unsent or (limited and 2 * len(limited) >= len(findings)):
            pause = min(limited[0].retry_after if limited else 0.0, policy.longest_pause)
            state = replace(self, paused_until=max(self.paused_until, now + pause))
            if sent_at < self.cut_at:  # it does not test the new limit
                return state
            return replace(state, limit=max(1.0, self.limit / 2), cut_at=now)
        if self.limit >= self.most:
            return self
        done = len(findings) - len(others) + sum(f is not None and f.verdict is Verdict.DONE for f in others)
        step = self.most / STEPS * min(1.0, done / self.limit)  # one for each whole window
        return replace(self, limit=min(self.most, self.limit + step))

    def _taken(self, findings: Findings, sent_at: float, now: float) -> "SinkState":
        if any(finding and finding.verdict in (Verdict.DONE, Verdict.FAIL) for finding in findings):
            return replace(self, taken_at=now, refused_since=None)
        refused = (f for f in findings if f and (f.verdict is Verdict.OUTAGE or f.reason in OF_THE_SINK))
        refusal = next(refused, None)
        if refusal is None:
            return self
        since = max(sent_at, self.taken_at) if self.refused_since is None else self.refused_since
        return replace(self, refusal=refusal, refused_since=since)
