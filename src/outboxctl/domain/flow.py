"""The states of the sink and of one index, as a worker sees them: whether and how much is sent there.

Pure: each transition takes a state, an answer and the time, and returns the next state (docs/outages.md has
the table). `outboxctl.worker.flow` keeps one state of the sink, and one of the index of each projection.
Times are those of `clock.monotonic`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from math import ceil, inf
from random import Random

from outboxctl.domain import backoff
from outboxctl.domain.failures import DONE, NO_ANSWER, Classification, Reason, Verdict, all_done

Findings = Sequence[Classification | None]
Leases = Sequence[tuple[str, float]]  # the projection of each batch in progress, and since when
LONGEST_STEP = 5.0  # seconds between two probes at the most, so that recovery is soon noticed
PROBE_EVENTS = 10  # of a probe under `hold`: of several shards, so that one that is unavailable is not all
STEPS = 20  # successful windows from nothing back to the full number of events in flight
STANDSTILL = 10.0  # seconds in which nothing that was sent is taken, until that is a problem
# Answers about the sink; another retry may be about its event only.
OF_THE_SINK = NO_ANSWER | {Reason.UNAVAILABLE, Reason.GATEWAY, Reason.RATE_LIMITED}
# Outages of one index: the sink itself may take the documents of others.
OF_ONE_INDEX = frozenset(
    {Reason.INDEX_UNAVAILABLE, Reason.WRITE_BLOCKED, Reason.UNAVAILABLE, Reason.AUTH, Reason.CONFIG}
)
PAUSE = 1.0  # seconds between two probes of an index
PASSING_PAUSE = 0.25  # the same for what ends by itself within seconds
RATE = 200.0  # events a second of unavailable shards that one worker looks at
SLOW = 0.3  # seconds of a batch, from its claim to its end: longer ones hold at most half of the lanes
LAST_LANE = 1.0  # seconds of a batch that leaves the last free lane to others
RECENT = 60.0  # seconds: a projection whose batches ended within them is one of several
LONG = 2.0  # seconds of a batch: after one that took longer the next ones are smaller
KEPT = 0.5  # weight of earlier batches at each new one: one huge document soon has no effect
FEW, SHRINK = 8, 10  # events after some that took too long: a tenth, and no more than this


class Signal(Enum):
    """What a delivery says of the sink as a whole, or what a batch says of its index."""

    NOTHING = auto()  # nothing was sent, or answered, or only one index is away
    ANSWER = auto()
    UNANSWERED = auto()  # no answer about any event: it may be that of a node or of an event
    OUTAGE = auto()


@dataclass(frozen=True)
class SinkPolicy:
    """How an outage of the sink is gone through; times in seconds."""

    hold: bool  # an outage holds events back, and a probe is a few of them; else a probe is a whole batch
    base: float  # and `cap` of the pauses between probes
    cap: float
    longest_pause: float  # that the sink may ask for
    unanswered: int  # how many deliveries may go unanswered at once, because of one node
    first: int  # events in flight after an outage: many workers must not send full batches at once


def signal_of(findings: Findings, *, hold: bool) -> tuple[Signal, Classification | None]:
    """What a delivery says of the sink, and by which finding. Under `hold` any answer ends an outage."""
    tried = [finding for finding in findings if finding and not finding.attempt_returned]
    outage = next((f for f in tried if f.verdict is Verdict.OUTAGE and not f.single), None)
    if outage and hold:
        return Signal.OUTAGE, outage
    if not all(finding.unanswered if hold else _of_no_event(finding) for finding in tried):
        return Signal.ANSWER, None
    first = next((finding for finding in tried if not finding.single), None)
    return (Signal.OUTAGE if outage else Signal.UNANSWERED if first else Signal.NOTHING), outage or first


def _of_no_event(finding: Classification) -> bool:
    """Whether the sink said nothing of an event, or that it takes none, of whatever index.

    What it says of one index or shard (`single`) is an answer, but for a 503: the whole sink may be away.
    """
    if finding.verdict is not Verdict.OUTAGE:
        return finding.unanswered
    return not finding.single or (finding.reason is Reason.UNAVAILABLE and not finding.of_shard)


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


def _of_the_index(f: Classification) -> bool:
    return f.verdict is Verdict.OUTAGE and f.single and not f.of_shard and f.reason in OF_ONE_INDEX


def _of_no_index(finding: Classification) -> bool:
    """Whether it says nothing of the index: it was not sent, not answered, or refused by the whole sink."""
    if finding.verdict is Verdict.OUTAGE:
        return finding.attempt_returned if finding.of_shard else not _of_the_index(finding)
    return finding.unsent or finding.unanswered


def signal_of_index(findings: Sequence[Classification]) -> tuple[Signal, Classification | None]:
    """What all events of a batch say of the index, or of the view, of their projection; and the outage."""
    if findings and all_done(findings):
        return Signal.ANSWER, None  # the hot path
    said = [finding for finding in findings if not _of_no_index(finding)]
    if said and all(map(_of_the_index, said)):
        return Signal.OUTAGE, said[0]
    return Signal.ANSWER if said else Signal.NOTHING, None


@dataclass(frozen=True)
class IndexState:
    """The index and the view of one projection: what they answer delays its own events, and no others.

    After an outage nothing is claimed until `next_probe`, and then by one `prober` at a time, until something
    is answered.
    """

    why: Classification | None = None
    away_since: float | None = None
    failures: int = 0  # outages in a row since `away_since`, the last one for `why`
    next_probe: float = 0.0
    prober: int | None = None
    seconds: float | None = None  # of its last batch, from the claim to its end; None: not known
    pace: float = 0.0  # events a second of that batch
    served_at: float = -inf
    limit: int | None = None  # events of a claim after a slow one, or at first of a view; None: any number
    documents: float = 0.0  # its last ones, so many, had so many `bytes`
    bytes: float = 0.0
    # When the next events of unavailable shards come back, RATE a second: they are claimed before fresh ones,
    # which would have no turn else.
    next_of_shard: float = 0.0

    def closed(self, now: float) -> bool:
        """Whether nothing of it may be claimed."""
        return self.why is not None and (self.prober is not None or now < self.next_probe)

    def after(
        self, findings: Sequence[Classification], now: float, *, who: int | None = None
    ) -> "IndexState":
        """The findings of all events of a batch of `who`: of a closed index, of its probe."""
        signal, why = signal_of_index(findings)
        if signal is Signal.ANSWER:
            return replace(self, why=None, failures=0, prober=None, away_since=None) if self.why else self
        if self.why is None and why is None:
            return self
        if self.why is not None and self.prober != who:  # claimed before the outage
            return self
        pause = PASSING_PAUSE if why and why.passing else PAUSE
        state = replace(self, next_probe=now + pause, prober=None)
        if why is None:
            return state
        since = now if self.away_since is None else self.away_since
        return replace(state, why=why, failures=self.failures + 1, away_since=since)

    def size(self, most: int, max_bytes: int) -> int:
        """Events to claim, at most `most`: about as many as have documents of `max_bytes`, at least one."""
        most = min(most, self.limit or most)
        if self.documents * max_bytes >= most * self.bytes:
            return most
        return max(1, int(self.documents * max_bytes / self.bytes))

    def late(self, events: int) -> "IndexState":
        """So many took too long to read: the next ones are few."""
        return replace(self, limit=max(1, min(FEW, events // SHRINK)))

    def sized(self, documents: int, size: int, *, left_out: bool) -> "IndexState":
        """So many documents had so many bytes; `left_out`: there was no room for others."""
        kept = 0.0 if left_out else KEPT
        return replace(self, documents=self.documents * kept + documents, bytes=self.bytes * kept + size)

    def ended(self, events: int, seconds: float, now: float, most: int) -> "IndexState":
        """A batch of so many events took so many seconds: the next one is smaller, or grows again."""
        limit = self.limit
        if seconds > LONG:
            limit = min(limit or most, max(1, events // 2))
        elif limit is not None and events >= limit and seconds < LONG / 2:
            limit = 2 * limit if 2 * limit < most else None
        pace = events / max(seconds, 0.001)
        return replace(self, seconds=seconds, pace=pace, served_at=now, limit=limit)

    def over(self, bound: float) -> bool:
        """Whether its last batch took more seconds, as far as is known."""
        return self.seconds is not None and self.seconds > bound

    def quick(self, size: int) -> int:
        """As many of so many events as do not take longer than SLOW, as far as is known."""
        return max(1, min(size, int(self.pace * SLOW))) if self.over(SLOW) else size

    def spread(self, events: int, now: float) -> tuple["IndexState", list[float]]:
        """The whole seconds until each of so many events of unavailable shards may come back."""
        first = max(self.next_of_shard, now)
        waits = [ceil(first + place / RATE) - now for place in range(events)]
        return replace(self, next_of_shard=first + events / RATE), waits


def others_wait(leases: Leases, states: Mapping[str, IndexState], lanes: int, now: float) -> bool:
    """Whether events of one projection wait for each batch of another one: there is one lane."""
    return lanes == 1 and _several(leases, states, now)


def without_share(leases: Leases, states: Mapping[str, IndexState], lanes: int, now: float) -> set[str]:
    """The projections that get no more lanes now: a slow one that has half of them, while others have events.

    The last free lane is for those whose batches are short, also while no other one has events: the next
    event of another one must not wait for a batch. One lane each until something is known of it.
    """
    if not leases:  # mostly so of many quiet ones
        return set()
    held, share = Counter(name for name, _ in leases), max(1, lanes // 2)
    closed = {name for name in held if name not in states or states[name].seconds is None}
    if max(held.values()) >= share and _several(leases, states, now):
        closed |= {name for name in _over(SLOW, leases, states, now) if held[name] >= share}
    if len(leases) >= lanes - 1 > 0:
        closed |= _over(LAST_LANE, leases, states, now)
    return closed


def _several(leases: Leases, states: Mapping[str, IndexState], now: float) -> bool:
    recent = (name for name, state in states.items() if state.served_at > now - RECENT)
    return len({name for name, _ in leases}.union(recent)) > 1


def _over(bound: float, leases: Leases, states: Mapping[str, IndexState], now: float) -> set[str]:
    """Those with a batch that takes, or took last, more seconds."""
    late = {name for name, since in leases if since < now - bound}
    return late.union(name for name, state in states.items() if state.over(bound))
