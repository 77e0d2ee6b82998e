"""Running a comparison and a repair for `verify`: progress, ^C, waiting, exit codes."""

import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outboxctl.cli.guards import acting
from outboxctl.cli.options import checked_database
from outboxctl.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.database import Database
    from outboxctl.settings import Settings
    from outboxctl.sink.scan import Reader
    from outboxctl.verify.model import Report
    from outboxctl.verify.repair import Repair

INTERRUPTED = 130
POLL = 0.5  # seconds between two looks at a repair's events
LONGEST_SILENCE = 120.0  # seconds for one request: a page of large documents takes its time


@dataclass(frozen=True)
class Look:
    """How to compare and how to show it."""

    content: bool
    full: bool
    limit: int
    json: bool
    planned: bool

    def at(self, database: "Database", reader: "Reader", **more: Any) -> "Report":
        """Compare with a progress bar."""
        from outboxctl.cli import render
        from outboxctl.verify.survey import survey

        with render.progress("comparing", _rows(database)) as advance:
            return survey(
                database,
                reader,
                content=self.content,
                full=self.full,
                limit=self.limit,
                advance=advance,
                **more,
            )


def _rows(database: "Database") -> int:
    """How many there are, if anybody is to see the progress."""
    from outboxctl.core import entities

    if not sys.stderr.isatty():
        return 0
    with database.begin() as connection:
        return entities.count(connection)


def look(given: "Settings", how: Look) -> int:
    """Compare and show it; returns the exit code."""
    from outboxctl.cli.drift import show
    from outboxctl.verify.compare import CONNECTIONS

    with checked_database(given, connections=CONNECTIONS) as db, _reader(given) as reader:
        report = how.at(db, reader)
    show(report, None, planned=how.planned, json=how.json)
    return ExitCode.FINDINGS if report.differences else ExitCode.OK


def mend(given: "Settings", how: Look, by: str, reason: str, *, wait: float | None, yes: bool) -> int:
    """Compare and enqueue as it goes, and look again after `wait` seconds at most; returns the exit code.

    ^C ends it between two batches.
    """
    from outboxctl.cli.drift import show
    from outboxctl.verify.compare import CONNECTIONS

    what = f"repair the index {given.elastic_index}"
    with (
        acting(given, what, yes=yes, connections=CONNECTIONS + 1) as db,
        _reader(given) as reader,
    ):
        report, repair, interrupted = _repair(db, reader, how, by, reason)
        after, undelivered = None, 0
        if wait and report.differences and not interrupted:
            undelivered = _wait(repair, wait)
            after = how.at(db, reader)
    show(report, repair.done, after=after, json=how.json)
    if interrupted:
        return INTERRUPTED
    if after.differences if after else repair.done.left:
        return ExitCode.FINDINGS
    return ExitCode.INCONCLUSIVE if undelivered else ExitCode.OK


def _repair(
    db: "Database", reader: "Reader", how: Look, by: str, reason: str
) -> "tuple[Report, Repair, bool]":
    from outboxctl.acts.batches import stoppable
    from outboxctl.sink.mend import Mender
    from outboxctl.verify.repair import Repair

    repair = Repair(db, Mender(reader.client, reader.shape.index), by, reason)
    with stoppable() as stop:
        report = how.at(db, reader, stop=stop, act=lambda found: repair.run(found, stop=stop))
        return report, repair, stop.is_set()


def _wait(repair: "Repair", seconds: float) -> int:
    """Until the repair's events are delivered or have failed, or the time is up; how many are left then."""
    from time import monotonic, sleep

    from outboxctl.cli import render

    end, left = monotonic() + seconds, repair.undelivered()
    with render.progress("waiting for a worker", left) as advance:
        while left and monotonic() < end:
            sleep(min(POLL, max(0.0, end - monotonic())))
            before, left = left, repair.undelivered()
            advance(before - left)
    return left


@contextmanager
def _reader(given: "Settings") -> "Iterator[Reader]":
    from outboxctl.sink.client import connect
    from outboxctl.sink.scan import Reader

    with closing(connect(given, timeout=LONGEST_SILENCE)) as client:
        yield Reader(client, given.elastic_index)
