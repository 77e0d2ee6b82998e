"""Under `hold`: which event is at fault where the sink ends requests without a word about any of them.

A timeout, a lost connection or a proxy's 502 may be a node's, or that of one document which the engine cannot
stand. Such a request costs no attempt. Its documents are suspected: each further one, with others taken in
between, has them sent in smaller requests, at last alone. An event that ends its own request, while its shard
takes a probe before and after, loses the attempt: so it ends, and nobody else's does.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import DONE, Classification, Reason, Verdict
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, Sink, probe_shards

SIZES = (100, 10, 1)  # most documents in a request, by how often they were suspected
MOST = 50_000  # suspect documents; beyond them all are forgotten
PROBE_SECONDS = 2.0
LARGE = 1_000_000  # characters of a document that alone can be more than an engine takes at a time


class Suspects:
    """The suspect documents of one worker: how often, and what had been taken by then. Thread-safe.

    By index and id, since two projections may have documents of the same id.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._suspected: dict[tuple[str, str], tuple[int, int]] = {}
        self._taken = 0  # deliveries of which the sink took something

    @property
    def any(self) -> bool:
        """Whether there are some."""
        return bool(self._suspected)

    def size(self, index: str, action: BulkAction) -> int:
        """The most documents in a request with this one of this index; 0: no limit."""
        times, _ = self._suspected.get((index, action.id), (0, 0))
        return SIZES[min(times, len(SIZES)) - 1] if times else 0

    def learn(
        self, index: str, actions: Sequence[BulkAction], findings: Sequence[Classification | None]
    ) -> None:
        """Take the findings of one request to this index."""
        with self._lock:
            if any(finding and finding.verdict is Verdict.DONE for finding in findings):
                self._taken += 1
            if not self._suspected and all(finding is DONE for finding in findings):
                return  # the hot path
            for action, finding in zip(actions, findings, strict=True):
                if finding and finding.refundable and finding.reason is not Reason.RATE_LIMITED:
                    self._suspect((index, action.id))
                elif finding and not finding.unanswered:
                    self._suspected.pop((index, action.id), None)

    def _suspect(self, document: tuple[str, str]) -> None:
        times, taken = self._suspected.get(document, (0, -1))
        if taken != self._taken:  # else the sink takes nothing at all
            if len(self._suspected) >= MOST:
                self._suspected.clear()
            self._suspected[document] = times + 1, self._taken


class SuspectIsolation:
    """`sink`, the one of this `index`, with suspect documents in requests of their own."""

    def __init__(self, sink: Sink, suspects: Suspects, index: str) -> None:
        self._sink, self._suspects, self._index = sink, suspects, index

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """As `Sink.deliver`. After a request that ended without a word the rest is not sent."""
        if not self._suspects.any:
            return self._send(actions, deadline)
        found: dict[int, Classification | None] = {}
        delivery = Delivery([], [])
        for places in _groups([self._size(action) for action in actions]):
            sent = self._send([actions[place] for place in places], deadline)
            found.update(zip(places, sent.findings, strict=True))
            delivery = replace(
                delivery,
                requests=delivery.requests + sent.requests,
                recovered=delivery.recovered or sent.recovered,
            )
            if any(finding is None or finding.unanswered for finding in sent.findings):
                break
        findings = [found.get(place) for place in range(len(actions))]
        return replace(delivery, findings=findings, whole=len(delivery.requests) == 1)

    def _size(self, action: BulkAction) -> int:
        return self._suspects.size(self._index, action)

    def _send(self, actions: Sequence[BulkAction], deadline: Deadline) -> Delivery:
        alone = len(actions) == 1 and self._size(actions[0]) == 1
        if alone and not self._takes_probe(actions[0], deadline):
            return Delivery([None], [])
        delivery = self._sink.deliver(actions, deadline=deadline)
        self._suspects.learn(self._index, actions, delivery.findings)
        (finding, *others) = delivery.findings
        if finding and not others and self._may_be_at_fault(actions[0], finding, alone=alone):
            at_fault = self._takes_probe(actions[0], deadline)
            return replace(delivery, findings=[replace(finding, refundable=not at_fault)])
        return delivery

    def _may_be_at_fault(self, action: BulkAction, finding: Classification, *, alone: bool) -> bool:
        """Whether the document, sent alone, may be the reason; `alone`: a probe was taken before it."""
        if finding.reason is Reason.RATE_LIMITED:
            return len(action.document or "") > LARGE
        return alone and finding.refundable

    def _takes_probe(self, action: BulkAction, deadline: Deadline) -> bool:
        """Whether the shard of this document takes a request without an event."""
        routing = action.routing or action.id
        (finding,) = probe_shards(self._sink, [routing], deadline, longest=PROBE_SECONDS)
        return finding is not None and finding.verdict is Verdict.DONE


def _groups(sizes: Sequence[int]) -> Iterator[list[int]]:
    """The places of documents that go together: first those without a limit, the smallest requests last."""
    for size in (0, *SIZES):
        places = [place for place, own in enumerate(sizes) if own == size]
        step = size or len(sizes)
        for start in range(0, len(places), step):
            yield places[start : start + step]
