"""Sending entities to the new index: each is written, or refused for good."""

from collections.abc import Callable, Sequence
from random import Random
from time import monotonic

from outboxctl.core.documents.source_rows import SourceEntity
from outboxctl.core.produce import MAX_VERSION
from outboxctl.domain.backoff import delay
from outboxctl.domain.clock import Deadline
from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.operations.rebuild.model import DocumentsRefusedError, RebuildInterrupted, Refused, Tools
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import NO_INDEX, ElasticSink

LONGEST = 30.0  # seconds a request
AGAIN = "once it does, `outboxctl rebuild` goes on where this one stopped"
GONE = "`outboxctl rebuild --abort` ends this rebuild, then begin another"
BASE, CAP = 0.2, 5.0  # seconds between two tries


class Sender:
    """Sends to one index; safe to use from several threads."""

    def __init__(self, tools: Tools, index: str, *, clock: Callable[[], float] = monotonic) -> None:
        self._tools, self._clock = tools, clock
        self._sink = ElasticSink(tools.client, index)
        self._index = index
        self._rng = Random()  # noqa: S311 - spreads retries, guards nothing

    def send(self, entities: Sequence[SourceEntity]) -> list[Refused]:
        """Write all entities; returns those refused.

        Tries again while the sink is unreachable. Raises UnreachableError once that lasts longer than
        `patience`, RebuildInterrupted when stopped meanwhile.
        """
        actions, refused = prepare(entities)
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


def prepare(entities: Sequence[SourceEntity]) -> tuple[list[BulkAction], list[Refused]]:
    """What is sent, and what cannot be; an entity without a row is deleted at its newest known version."""
    actions, refused = [], []
    for entity in entities:
        id_ = f"{entity.entity_type}:{entity.entity_id}"
        version = entity.newest if entity.document is None else entity.version
        if version is not None and 0 <= version <= MAX_VERSION:
            actions.append(BulkAction(id_, version, entity.document))
        elif entity.document is not None:
            error = f"the row's event_version is not in 0..2^63-1: {version}"
            refused.append(Refused(id_, Reason.DETERMINISTIC_EXCEPTION, error))
    return actions, refused


def collect(tools: Tools, refused: Sequence[Refused], *, tolerant: bool) -> int:
    """Keep refused documents; returns how many are new. Raises DocumentsRefusedError unless `tolerant`."""
    fresh = {each.id: each for each in refused if each.id not in tools.refused}
    tools.refused.update(fresh)
    if fresh and not tolerant:
        raise DocumentsRefusedError
    return len(fresh)
