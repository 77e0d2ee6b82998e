"""Reading by halves before a deadline: rows that cannot be read take no more time than others can wait."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

import structlog

from outboxctl.core.refused_reads import ReadRefusedError, by_halves
from outboxctl.domain.clock import Deadline

log = structlog.get_logger()
SHARE = 0.5  # of the time left, for several documents: the rest is for their halves, and the sink
MOST_REFUSALS = 100  # rows that cannot be read, of a few statements each: then others have a turn
LEAST = 1.0  # seconds to read no key
Found = TypeVar("Found")


def in_time(
    waiting: list[Sequence[str]], read: Callable[[Sequence[str], float], Found], deadline: Deadline
) -> Iterator[tuple[Sequence[str], Found | ReadRefusedError]]:
    """As `by_halves`, of `read` with the seconds that it may take; keys that are not returned are not read.

    Raises ReadRefusedError where no key can be read, and what else `read` raises.
    """

    def timed(some: Sequence[str]) -> Found:
        seconds = deadline.seconds_left() * (SHARE if len(some) > 1 else 1)
        if not some:  # what became of the row before depends on it
            seconds = max(seconds, LEAST)
        if seconds <= 0:
            raise _TimeOverError
        try:
            return read(some, seconds)
        except ReadRefusedError as error:
            if error.late and len(some) > 1:
                log.warning("documents take too long: they are read by halves", documents=len(some))
            raise

    refusals = 0
    with suppress(_TimeOverError):
        for some, found in by_halves(waiting, timed):
            yield some, found
            refusals += isinstance(found, ReadRefusedError)
            if refusals >= MOST_REFUSALS:
                return


class _TimeOverError(Exception):
    """The time for reading is over."""
