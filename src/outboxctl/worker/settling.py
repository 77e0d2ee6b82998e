"""Settling what became of a batch, through a database that may go away in the middle of it."""

from dataclasses import dataclass, field

from outboxctl.core import commits, settle
from outboxctl.core.ahead import ahead
from outboxctl.errors import UnreachableError
from outboxctl.failures import Noop
from outboxctl.worker import tally
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.shared import Shared

AGAIN = 0.5  # seconds between two tries while the database is away


@dataclass
class Attempt:
    """One transaction: its id once it has begun, the events that it hit, those whose index is ahead."""

    transaction: str | None = None
    hit: set[str] = field(default_factory=set)
    ahead: set[str] = field(default_factory=set)


def settle_all(shared: Shared, token: str, outcomes: Outcomes) -> None:
    """Write what became of the batch, again and again while the database is away, and count it once.

    There is nothing else to do meanwhile, and the fence keeps a late answer out. Raises
    UnreachableError if the worker stops first.
    """
    attempt = Attempt()
    while not _settled(shared, token, outcomes, attempt):
        if shared.stopping.wait(AGAIN):
            raise UnreachableError("the worker stopped while the database was away")
    if tally.settled(shared.metrics, outcomes, attempt.hit, attempt.ahead):
        shared.health.succeeded()


def _settled(shared: Shared, token: str, outcomes: Outcomes, attempt: Attempt) -> bool:
    try:
        with shared.database.begin() as connection:
            if attempt.transaction and commits.committed(connection, attempt.transaction):
                return True  # only its answer was lost
            attempt.transaction = commits.current(connection)
            attempt.hit = settle.write(
                connection,
                token,
                done=outcomes.done,
                retries=outcomes.retries,
                failures=outcomes.failures,
                give_back_the_rest=bool(outcomes.held or outcomes.unsent),
            )
            attempt.ahead = ahead(connection, _superseded(outcomes, attempt.hit))
    except UnreachableError as error:
        shared.health.report("database", str(error), observer="lane")
        return False
    return True


def _superseded(outcomes: Outcomes, hit: set[str]) -> dict[str, int]:
    """Source versions, by event id, of the documents that met a newer one."""
    return {
        id_: event.source_version
        for id_, (event, finding) in outcomes.findings.items()
        if finding.noop is Noop.SUPERSEDED and event.source_version is not None and id_ in hit
    }
