"""Sending documents to the new index: each is written, or refused for good."""

from collections.abc import Callable, Sequence
from random import Random
from time import monotonic

from outboxctl.domain.backoff import delay
from outboxctl.domain.clock import Deadline
from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.failures import Classification, Verdict
from outboxctl.domain.projection import Routing
from outboxctl.operations.rebuild.model import DocumentsRefusedError, RebuildInterrupted, Tools
from outboxctl.operations.rebuild.source import DocumentBatch, Refused
from outboxctl.sink.delivery.deliver import NO_INDEX
from outboxctl.sink.delivery.routed import sink_of

LONGEST = 30.0  # seconds a request
AGAIN = "once it does, `outboxctl rebuild` goes on where this one stopped"
GONE = "`outboxctl rebuild --abort` ends this rebuild, then begin another"
BASE, CAP = 0.2, 5.0  # seconds between two tries


class Sender:
    """Sends to one index; safe to use from several threads.

    `once`: the index has at most one copy of each document, and what changed since is sent again by another.
    """

    def __init__(
        self, tools: Tools, index: str, *, once: bool = False, clock: Callable[[], float] = monotonic
    ) -> None:
        self._tools, self._clock = tools, clock
        routing = tools.source.routing
        if once and routing is Routing.COLUMN:  # no other shard can have a copy
            routing = Routing.KEY
        self._sink = sink_of(tools.client, index, pipeline=tools.source.pipeline, routing=routing)
        self._index = index
        self._rng = Random()  # noqa: S311 - spreads retries, guards nothing

    def send(self, batch: DocumentBatch) -> list[Refused]:
        """Write all of a batch; returns the documents refused.

        Tries again while the sink is unreachable. Raises UnreachableError once that lasts longer than
        `patience`, RebuildInterrupted when stopped meanwhile.
        """
        actions, refused = batch.actions, [*batch.refused]
        began, failed = self._clock(), 0
        while actions:
            findings = self._sink.deliver(actions, deadline=Deadline.within(LONGEST)).findings
            answers = list(zip(actions, findings, strict=True))
            refused += [
                Refused(action.id, str(finding.reason), finding.error)
                for action, finding in answers
                if finding and finding.verdict is Verdict.FAIL
            ]
            again = [(a, f) for a, f in answers if not f or f.verdict not in (Verdict.DONE, Verdict.FAIL)]
            if len(again) < len(actions):
                began, failed = self._clock(), 0
            failed += 1
            actions = [action for action, _ in again]
            if actions:
                self._wait(again[0][1], failed, self._clock() - began)
        return refused

    def _wait(self, finding: Classification | None, failed: int, seconds: float) -> None:
        if finding and NO_INDEX in finding.error:
            raise UnreachableError(f"{self._index}, which is being filled, is gone", hint=GONE)
        if seconds > self._tools.patience:
            why = f"{finding.reason}: {finding.error}" if finding else "no answer"
            raise UnreachableError(
                f"the sink did not take documents for {self._index} for {seconds:.0f} s ({why})", hint=AGAIN
            )
        if self._tools.stop.wait(self._pause(finding, failed)):
            raise RebuildInterrupted

    def _pause(self, finding: Classification | None, failed: int) -> float:
        requested = min(finding.retry_after, CAP) if finding else 0.0
        return max(requested, delay(failed, base=BASE, cap=CAP, rng=self._rng))


def collect(tools: Tools, refused: Sequence[Refused], *, tolerant: bool) -> int:
    """Keep refused documents; returns how many are new. Raises DocumentsRefusedError unless `tolerant`."""
    fresh = {each.id: each for each in refused if each.id not in tools.refused}
    tools.refused.update(fresh)
    if fresh and not tolerant:
        raise DocumentsRefusedError
    return len(fresh)
