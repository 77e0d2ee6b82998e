"""Settling what became of a batch, through a database that may go away in the middle of it."""

from dataclasses import dataclass
from typing import Any

from outboxctl.clock import monotonic
from outboxctl.core import commits, settle
from outboxctl.core.ahead import ahead
from outboxctl.core.commits import Fate
from outboxctl.errors import UnreachableError
from outboxctl.failures import Noop
from outboxctl.worker import tally
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.shared import Shared

AGAIN = 0.5  # seconds between two tries while the database is away


@dataclass
class Written:
    """What one transaction wrote: the events that it hit, and those whose index is ahead."""

    hit: set[str]
    ahead: set[str]


class Settling:
    """The outcomes of one claim, written once however often the database goes away meanwhile."""

    def __init__(self, shared: Shared, token: str, outcomes: Outcomes) -> None:
        self._shared, self._token, self._outcomes = shared, token, outcomes
        self._tried: dict[str, Written] = {}  # by transaction, of those whose COMMIT got no answer

    def run(self, *, until: float | None) -> int:
        """Write, again and again while the database is away, and count what was written once.

        There is nothing else to do meanwhile, and the fence keeps a late answer out. Returns how many
        events were still ours to settle. Raises UnreachableError when the worker gives up, or after
        `until` (monotonic).
        """
        while (written := self._try()) is None:
            if self._shared.given_up.wait(AGAIN) or (until is not None and monotonic() > until):
                raise UnreachableError("the database went away before everything was settled")
        metrics, repeats = self._shared.metrics, self._shared.repeats
        done = tally.settled(metrics, self._outcomes, written.hit, written.ahead, repeats)
        if done:
            self._shared.complete(done)
        self._shared.gave_back(sum(id_ in written.hit for id_ in self._outcomes.untried))
        return len(written.hit)

    def _try(self) -> Written | None:
        """What was written, now or by an earlier try; None while that cannot be known."""
        try:
            with self._shared.database.begin() as connection:
                fates = {id_: commits.fate(connection, id_) for id_ in self._tried}
                if Fate.IN_PROGRESS in fates.values():
                    return None  # it may still commit; the server ends one that we have left
                transaction = commits.current(connection)
                written = self._tried[transaction] = self._write(connection)
        except UnreachableError as error:
            self._shared.health.report("database", str(error), observer="lane")
            return None
        self._shared.health.report("database", None, observer="lane")
        earlier = [self._tried[id_] for id_, fate in fates.items() if fate is Fate.COMMITTED]
        return earlier[0] if earlier and not written.hit else written  # only its answer was lost

    def _write(self, connection: Any) -> Written:
        hit = settle.write(
            connection,
            self._token,
            done=self._outcomes.done,
            retries=self._outcomes.retries,
            failures=self._outcomes.failures,
            release_the_rest=bool(self._outcomes.untried),
        )
        return Written(hit, ahead(connection, _superseded(self._outcomes, hit)))


def _superseded(outcomes: Outcomes, hit: set[str]) -> dict[str, int]:
    """Source versions, by event id, of the documents that met a newer one."""
    return {
        id_: event.source_version
        for id_, (event, finding) in outcomes.findings.items()
        if finding.noop is Noop.SUPERSEDED and event.source_version is not None and id_ in hit
    }
