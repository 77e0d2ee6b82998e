"""Settling what became of a batch, through a database that may go away in the middle of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from outboxctl.core.delivery import commits, settle
from outboxctl.core.delivery.ahead import ahead
from outboxctl.core.delivery.commits import Fate
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import CutOffError, LockedError, UnreachableError
from outboxctl.domain.failures import Noop
from outboxctl.worker import tally
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.shared import Shared

AGAIN = 0.5  # seconds between two tries while the database is away


@dataclass
class Written:
    """What one transaction wrote: the events that it hit, and those whose index is ahead.

    `locked` are those that are still ours and that somebody else has locked.
    """

    hit: set[str]
    ahead: set[str]
    locked: set[str]


class Settling:
    """The outcomes of one claim, written once however often the database goes away meanwhile."""

    def __init__(self, shared: Shared, token: str, outcomes: Outcomes) -> None:
        self._shared, self._token, self._outcomes = shared, token, outcomes
        self._around = False  # leave out the rows that somebody else has locked
        self._tried: dict[str, Written] = {}  # by transaction, of those whose COMMIT got no answer

    @property
    def waiting(self) -> int:
        """Events whose outcome is not written."""
        return len(self._outcomes.ids)

    def run(self, *, until: float | None) -> int:
        """Write, again and again while the database is away, and count what was written once.

        There is nothing else to do meanwhile, and the fence keeps a late answer out. What somebody else
        has locked is left to maintenance (`shared.postponed`). Returns how many events were still ours to
        settle. Raises UnreachableError when the worker gives up, or after `until` (monotonic).
        """
        while (written := self._try()) is None:
            if self._shared.given_up.wait(AGAIN) or (until is not None and monotonic() > until):
                raise UnreachableError("the database went away before everything was settled")
        self._count(written)
        if written.locked:
            self._shared.locks.log_rows(written.locked)
            self._shared.postponed.add(self)
        return len(written.hit)

    def again(self) -> None:
        """Try once more to write what was locked."""
        self._around = True
        written = self._try()
        if written is not None:
            self._count(written)
            if written.locked:
                self._shared.locks.log_rows(written.locked)

    def give_up(self) -> None:
        """Leave what is still locked to its lease: reclaim takes it once the lock is gone."""
        self._shared.metrics.count("lease_lost", self.waiting)

    def _count(self, written: Written) -> None:
        """Count what was written, and keep the outcomes of what is locked."""
        locked = self._outcomes.only(written.locked)
        settled = (
            self._outcomes.only(self._outcomes.ids - written.locked) if written.locked else self._outcomes
        )
        metrics, repeats = self._shared.metrics, self._shared.repeats
        done = tally.settled(metrics, settled, written.hit, written.ahead, repeats)
        if done:
            self._shared.complete(done)
        self._shared.gave_back(sum(id_ in written.hit for id_ in settled.untried))
        self._outcomes, self._tried = locked, {}

    def _try(self) -> Written | None:
        """What was written, now or by an earlier try; None while that cannot be known."""
        try:
            written = self._begin()
        except (LockedError, CutOffError) as error:
            if not self._around:
                self._around = True  # a row is locked: do not wait for it again
                return self._try()
            self._report(error)
            return None
        except UnreachableError as error:
            self._report(error)
            return None
        self._shared.health.report("database", None, observer="lane")
        return written

    def _report(self, error: UnreachableError) -> None:
        self._shared.health.report("database", self._shared.locks.explain(error), observer="lane")

    def _begin(self) -> Written | None:
        with self._shared.database.begin() as connection:
            fates = {id_: commits.fate(connection, id_) for id_ in self._tried}
            if Fate.IN_PROGRESS in fates.values():
                return None  # it may still commit; the server ends one that we have left
            transaction = commits.current(connection)
            written = self._tried[transaction] = self._write(connection)
        earlier = [self._tried[id_] for id_, fate in fates.items() if fate is Fate.COMMITTED]
        return _together(written, earlier)  # of those only the answer was lost

    def _write(self, connection: Any) -> Written:
        outcomes = self._outcomes
        if self._around:
            outcomes = outcomes.only(settle.hold(connection, self._token))
        released = outcomes.untried
        hit = settle.write(
            connection,
            self._token,
            done=outcomes.done,
            retries=outcomes.retries,
            failures=outcomes.failures,
            release_the_rest=bool(released),
            only=released,
        )
        missed = len(hit) < self.waiting
        locked = settle.held(connection, [self._token]) & self._outcomes.ids if missed else set()
        return Written(hit, ahead(connection, _superseded(outcomes, hit)), locked)


def _together(written: Written, earlier: Sequence[Written]) -> Written:
    """What several transactions wrote; what is locked was found by the last one."""
    if not earlier:
        return written
    every = [written, *earlier]
    hit, ahead_ = (set[str]().union(*sets) for sets in zip(*((w.hit, w.ahead) for w in every), strict=True))
    return Written(hit, ahead_, written.locked)


def _superseded(outcomes: Outcomes, hit: set[str]) -> dict[str, int]:
    """Source versions, by event id, of the documents that met a newer one."""
    return {
        id_: event.source_version
        for id_, (event, finding) in outcomes.findings.items()
        if finding.noop is Noop.SUPERSEDED and event.source_version is not None and id_ in hit
    }
