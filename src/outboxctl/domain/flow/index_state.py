"""The state of the index and the view of one projection: its outage, and how many events a claim has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from outboxctl.domain.failures import Classification, Verdict
from outboxctl.domain.flow.fault import is_unanswered, smaller_claim
from outboxctl.domain.flow.signals import Findings, Signal, signal_of_index

PAUSE = 1.0  # seconds between two probes of an index
PASSING_PAUSE = 0.25  # the same for what ends by itself within seconds
SLOW = 0.3  # seconds of a batch, from its claim to its end: longer ones hold at most half of the lanes
LONG = 2.0  # seconds of a batch: after one that took longer the next ones are smaller
KEPT = 0.5  # weight of earlier batches at each new one: one huge document soon has no effect
FEW, SHRINK = 8, 10  # events after some that took too long: a tenth, and no more than this
# Seconds without an unanswered delivery until claims grow again: its events are due, and claimed, before.
LIMIT_HOLD_SECONDS = 10.0
MAX_SUSPECTS = 1_000  # beyond them all are forgotten

Document = tuple[str, str]  # the index, where a column chooses that, and the id


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
    limit_held_until: float = 0.0  # `limit` does not grow before
    suspects: frozenset[Document] = frozenset()  # documents that were alone without an answer (`fault`)

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
        elif limit is not None and events >= limit and seconds < LONG / 2 and now >= self.limit_held_until:
            limit = 2 * limit if 2 * limit < most else None
        pace = events / max(seconds, 0.001)
        return replace(self, seconds=seconds, pace=pace, served_at=now, limit=limit)

    def over(self, bound: float) -> bool:
        """Whether its last batch took more seconds, as far as is known."""
        return self.seconds is not None and self.seconds > bound

    def quick(self, size: int) -> int:
        """As many of so many events as do not take longer than SLOW, as far as is known."""
        return max(1, min(size, int(self.pace * SLOW))) if self.over(SLOW) else size

    def record_delivery(self, documents: Sequence[Document], findings: Findings, now: float) -> "IndexState":
        """Take one delivery: documents without an answer make claims smaller, and one alone is a suspect."""
        pairs = [*zip(documents, findings, strict=True)]
        suspects = self.suspects - {d for d, f in pairs if f and f.verdict in (Verdict.DONE, Verdict.FAIL)}
        state = self if suspects == self.suspects else replace(self, suspects=suspects)
        unanswered = [document for document, finding in pairs if is_unanswered(finding)]
        if not unanswered:
            return state
        if len(unanswered) == 1:
            suspects = (suspects if len(suspects) < MAX_SUSPECTS else frozenset()) | {*unanswered}
        limit = smaller_claim(len(unanswered))
        limit = min(limit, self.limit or limit)
        return replace(state, limit=limit, limit_held_until=now + LIMIT_HOLD_SECONDS, suspects=suspects)
