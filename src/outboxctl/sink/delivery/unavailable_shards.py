"""Delivering into an index of which some shards take nothing: their documents wait, and no others.

A bulk request is answered when its slowest shard has answered. A shard without an active primary, or with
too few copies, keeps each request with one of its documents for the whole `timeout`. So these shards are
remembered, by the number that the engine says or by the documents that it refuses, and their documents are
not sent until a probe of the shard is taken.
"""

import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from outboxctl.domain.backoff import Pauses
from outboxctl.domain.clock import Deadline, monotonic
from outboxctl.domain.failures import MAPPING_WAIT, Classification, Reason, Verdict
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, Sink, probe_shards
from outboxctl.sink.delivery.shards import NotNamedError, Shards, layout_of
from outboxctl.sink.transport.client import Client

# Both engines: `[index][3] primary shard is not active`, `[index][3] Not enough active copies`.
NAMED = re.compile(r"unavailable_shards_exception: \[([^\[\]]+)\]\[(\d+)\]")
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0  # seconds between two probes of a shard
PROBE_SECONDS = 1.5  # that a probe may take; the engine waits a third of it
LOOK_SECONDS = 2.0  # that the engine may take to describe an index, or one shard of it
LOOK_AGAIN = 5.0  # seconds until it is asked again, where its answer did not help
NOT_SENT = "not sent, because its shard took nothing before"


@dataclass
class ShardOutage:
    """Of one shard that takes nothing."""

    finding: Classification  # of documents that are not sent
    pauses: Pauses = field(default_factory=partial(Pauses, FIRST_PAUSE, LONGEST_PAUSE))  # between probes


@dataclass
class ShardOutages:
    """The unavailable shards of one index, by number."""

    index: str
    layout: Shards | None = None  # leads from ids to shards; None: unknown
    looked_at: float = 0.0
    shards: dict[int, ShardOutage] = field(default_factory=dict)

    @property
    def total(self) -> bool:
        """Whether all shards are unavailable."""
        return self.layout is not None and len(self.shards) >= self.layout.number

    def shard_of(self, action: BulkAction) -> int:
        """The shard of an action; -1 if that is not known."""
        return self.layout.of(action.routing or action.id) if self.layout else -1

    def finding_of(self, action: BulkAction) -> Classification | None:
        """The finding of an action that is not sent; None where its shard is not unavailable."""
        outage = self.shards.get(self.shard_of(action))
        return outage.finding if outage else None

    def add(self, found: dict[int, Classification], now: float) -> None:
        """Remember the findings of these shards."""
        for number in found.keys() - self.shards.keys():
            error = f"{NOT_SENT}: {found[number].error}"
            finding = replace(found[number], error=error, attempt_returned=True)
            self.shards[number] = outage = ShardOutage(finding)
            outage.pauses.failed(now)

    def take_due(self, now: float) -> list[int]:
        """The shards to probe now; each waits longer for its next probe."""
        due = [number for number, shard in self.shards.items() if shard.pauses.due(now)]
        for number in due:
            self.shards[number].pauses.failed(now)
        return due


class UnavailableShards:
    """In front of `sink`; while all shards are unavailable, everything is sent. Thread-safe."""

    def __init__(self, client: Client, sink: Sink, index: str) -> None:
        self._client, self._sink, self._index = client, sink, index
        self._lock = threading.Lock()
        self._outages = ShardOutages(index)

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """As `ElasticSink.deliver`; an outage of their shard, `attempt_returned`, for those not sent."""
        outages = self._outages
        if not outages.shards or not outages.layout or outages.total:
            return self._send(actions, deadline)
        first = self._send_healthy(outages, actions, deadline)
        if not self._probe(outages, outages.layout, deadline):  # after them: it may take a while
            return first
        left = [n for n, f in enumerate(first.findings) if f and f.attempt_returned]
        more = self._send_healthy(outages, [actions[n] for n in left], deadline)
        later = dict(zip(left, more.findings, strict=True))
        findings = [later.get(n, finding) for n, finding in enumerate(first.findings)]
        return replace(first, findings=findings, requests=first.requests + more.requests, recovered=True)

    def _send_healthy(
        self, outages: ShardOutages, actions: Sequence[BulkAction], deadline: Deadline
    ) -> Delivery:
        """Send those whose shards are not unavailable; the others get the finding of their shard."""
        kept = [outages.finding_of(action) for action in actions]
        some = [action for action, finding in zip(actions, kept, strict=True) if not finding]
        delivery = self._send(some, deadline) if some else Delivery([], [])
        sent = iter(delivery.findings)
        return replace(delivery, findings=[finding or next(sent) for finding in kept], whole=False)

    def _send(self, actions: Sequence[BulkAction], deadline: Deadline) -> Delivery:
        """Send them all, and learn from their findings."""
        delivery = self._sink.deliver(actions, deadline=deadline)
        pairs = zip(actions, delivery.findings, strict=True)
        if refused := [(a, f) for a, f in pairs if f and f.of_shard and MAPPING_WAIT not in f.error]:
            self._note(refused)
        outages = self._outages
        if not outages.shards:
            return delivery
        pairs = zip(actions, delivery.findings, strict=True)
        taken = {outages.shard_of(action) for action, f in pairs if f and f.verdict is Verdict.DONE}
        recovered = self._recovered(outages, taken)
        if outages.total:  # an outage of the search engine
            return replace(delivery, findings=[_of_all(finding) for finding in delivery.findings])
        return replace(delivery, recovered=recovered)

    def _note(self, refused: Sequence[tuple[BulkAction, Classification]]) -> None:
        """Remember the shards that the engine named, and those of documents whose refusal names none."""
        named = {(match[1], int(match[2])): f for _, f in refused if (match := NAMED.search(f.error))}
        known, now = self._outages, monotonic()
        before = known.index if known.shards else self._index  # which may be an alias
        index = next(iter(named))[0] if named else before
        useful = known.layout or now < known.looked_at + LOOK_AGAIN
        if not (known.index == index and known.shards and useful):
            known = ShardOutages(index, looked_at=now)
            with suppress(NotNamedError):
                known.layout = layout_of(self._client, index, LOOK_SECONDS)
        found = {number: finding for (name, number), finding in named.items() if name == index}
        if known.layout and not named:
            found = {known.shard_of(action): f for action, f in refused}
        with self._lock:
            known.add(found, monotonic())
            self._outages = known

    def _recovered(self, outages: ShardOutages, taken: set[int]) -> bool:
        """Forget the shards that took a document; whether one was unavailable: its documents can be sent."""
        with self._lock:
            return bool([outages.shards.pop(shard) for shard in taken if shard in outages.shards])

    def _probe(self, outages: ShardOutages, layout: Shards, deadline: Deadline) -> bool:
        """Probe the shards that are due, in one request; whether one takes documents again."""
        with self._lock:  # so that one thread alone probes them
            due = outages.take_due(monotonic())
        if not due:
            return False
        routings = [layout.routings[shard] for shard in due]
        found = zip(due, probe_shards(self._sink, routings, deadline, longest=PROBE_SECONDS), strict=True)
        ill = (Verdict.OUTAGE, Verdict.RETRY)
        return self._recovered(outages, {shard for shard, f in found if f and f.verdict not in ill})


def _of_all(finding: Classification | None) -> Classification | None:
    if finding and finding.of_shard and finding.reason is Reason.UNAVAILABLE:
        return replace(finding, single=False, of_shard=False)
    return finding
