"""Settling: writing the outcomes of a batch, through a database that may become unreachable meanwhile."""

from dataclasses import dataclass

import structlog

from outboxctl.core.database import Connection
from outboxctl.core.delivery import deletes, diagnosis, places, settle
from outboxctl.core.delivery.diagnosis import Fate, index_ahead
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import CutOffError, LockedError, UnreachableError
from outboxctl.domain.failures import Noop
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.settling import tally
from outboxctl.worker.settling.outcome import Outcomes

log = structlog.get_logger()
RETRY_SECONDS = 0.5  # between two tries while the database is unreachable


@dataclass
class Written:
    """What one transaction wrote: the ids of the rows that it hit, and of those whose index is ahead.

    `locked` are those of this claim that another session has locked.
    """

    hit: set[str]
    ahead: set[str]
    locked: set[str]


class Settling:
    """The outcomes of one claim, written once however often the database is unreachable meanwhile.

    Used by one thread at a time: its lane, and after `Postponed.add` whoever calls `Postponed.turn`.
    """

    def __init__(self, context: WorkerContext, token: str, outcomes: Outcomes) -> None:
        self._context, self._token, self._outcomes = context, token, outcomes
        self._skip_locked = False  # leave out the rows that another session has locked
        # By server and transaction, of those whose COMMIT got no answer. Another server may have given the
        # same id to a transaction of its own.
        self._tried: dict[tuple[str, str], Written] = {}

    @property
    def _waiting(self) -> int:
        """Events whose outcome is not written."""
        return len(self._outcomes.ids)

    def run(self, *, until: float | None) -> int:
        """Write, again and again while the database is unreachable, and count what was written once.

        There is nothing else to do meanwhile, and the fence keeps a late answer out. Rows that another
        session has locked are left to maintenance (`Postponed`). Returns how many events the claim still
        held. Raises UnreachableError when the grace of a stop is over, or after `until` (monotonic).
        """
        while (written := self._try()) is None:
            if self._context.signals.wait_for_abandon(RETRY_SECONDS) or (
                until is not None and monotonic() > until
            ):
                raise UnreachableError("the database became unreachable before everything was settled")
        self._count(written)
        if written.locked:
            self._context.postponed.add(self.again, self._waiting)
        return len(written.hit)

    def again(self, last: bool) -> int:
        """Try once more to write the outcomes of rows that were locked; how many still wait.

        After the `last` time these count as lost: they are reclaimed once the lock is gone.
        """
        self._skip_locked = True
        if written := self._try():
            self._count(written)
        if last and self._waiting:
            log.warning("locked events are left to their lease", events=self._waiting)
            self._context.metrics.count("lease_lost", self._waiting)
        return self._waiting

    def _count(self, written: Written) -> None:
        """Count what was written, keep the outcomes of what is locked, and log who has locked it."""
        locked = self._outcomes.only(written.locked)
        settled = (
            self._outcomes.only(self._outcomes.ids - written.locked) if written.locked else self._outcomes
        )
        metrics, progress = self._context.metrics, self._context.progress
        done = tally.settled(metrics, settled, written.hit, written.ahead, progress.repeats)
        if done:
            progress.complete(done)
        progress.release(sum(id_ in written.hit for id_ in settled.untried))
        self._outcomes, self._tried = locked, {}
        if written.locked:
            self._context.reporter.log_locked_rows(written.locked)

    def _try(self) -> Written | None:
        """What was written, now or by an earlier try; None while that is unknown."""
        try:
            written = self._begin()
        except UnreachableError as error:
            if isinstance(error, LockedError | CutOffError) and not self._skip_locked:
                self._skip_locked = True  # do not wait for the locked row again
                return self._try()
            self._context.reporter.failed(error)
            return None
        self._context.reporter.succeeded()
        return written

    def _begin(self) -> Written | None:
        with self._context.database.begin() as connection:
            here = self._context.database.server_of(connection)
            tried = [each for each in self._tried if each[0] == here]
            fates = {each: diagnosis.commit_fate(connection, each[1]) for each in tried}
            if Fate.IN_PROGRESS in fates.values():
                return None  # it may still commit; the server ends a transaction without a client
            written = self._write(connection, here)
        for each, fate in fates.items():
            if fate is Fate.COMMITTED:  # only its answer was lost
                written.hit |= self._tried[each].hit
                written.ahead |= self._tried[each].ahead
        return written

    def _write(self, connection: Connection, server: str) -> Written:
        outcomes = self._outcomes
        if self._skip_locked:
            outcomes = outcomes.only(settle.hold(connection, self._token))
        writes, first = [*outcomes.places.values()], self._context.settings.lease_seconds
        transaction, hit = settle.write(
            connection,
            self._token,
            done=outcomes.done,
            undelivered=outcomes.retries + outcomes.failures,
            released=outcomes.untried,
            splits=[(split.id, split.keys) for split in outcomes.splits],
            more=[
                *deletes.inserting([*outcomes.deletes.values()], first=first),
                *(places.settling(writes) if writes else ()),
            ],
        )
        missed = len(hit) < self._waiting
        locked = settle.held(connection, [self._token]) & self._outcomes.ids if missed else set()
        written = Written(hit, index_ahead(connection, _superseded(outcomes, hit)), locked)
        self._tried[server, transaction] = written  # its COMMIT may get no answer
        return written


def _superseded(outcomes: Outcomes, hit: set[str]) -> dict[str, int]:
    """Source versions, by event id, of the documents that met a newer one."""
    return {
        id_: event.source_version
        for id_, (event, finding) in outcomes.findings.items()
        if finding.noop is Noop.SUPERSEDED and event.source_version is not None and id_ in hit
    }
