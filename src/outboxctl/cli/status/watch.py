"""Looking again and again, whatever happens to the database meanwhile."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING

from outboxctl.domain.errors import UnreachableError

if TYPE_CHECKING:
    from outboxctl.core.stats.snapshot import PipelineStatus


@dataclass(frozen=True)
class StatusSnapshot:
    """What was seen at a moment; `problem` says why there is nothing newer.

    `change` is how it went since the look before, for when no worker reports a pace.
    """

    standing: "PipelineStatus"
    at: datetime
    change: str | None = None
    problem: str | None = None


def looks(read: Callable[[], "PipelineStatus"], seconds: float) -> Iterator[StatusSnapshot]:
    """One look every `seconds`, without end. Raises UnreachableError only if the first one fails."""
    last: StatusSnapshot | None = None
    while True:
        try:
            last = _after(last, StatusSnapshot(read(), datetime.now(UTC)))
            yield last
        except UnreachableError as error:
            if last is None:
                raise
            yield replace(last, problem=str(error))
        sleep(seconds)


def _after(before: StatusSnapshot | None, now: StatusSnapshot) -> StatusSnapshot:
    if before is None or now.standing.circuit_open is not None:
        return now
    seconds = max(0.001, (now.at - before.at).total_seconds())
    lag = (now.standing.lag - before.standing.lag) / seconds
    failed = (now.standing.status["failed"] - before.standing.status["failed"]) / seconds
    change = f"Pace: no worker is running; since the last look: lag {lag:+,.1f}/s, failed {failed:+,.1f}/s"
    return replace(now, change=change)
