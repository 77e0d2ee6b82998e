"""Running a comparison and a repair for `verify`: progress, ^C, waiting, exit codes."""

import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outboxctl.cli.guards import acting
from outboxctl.cli.options import checked_database
from outboxctl.domain.errors import ExitCode, OutboxctlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from threading import Event

    from outboxctl.core.database import Database
    from outboxctl.operations.verify.model import Difference, VerifyReport
    from outboxctl.operations.verify.repair import Repair
    from outboxctl.settings import Settings
    from outboxctl.sink.index.scan import Reader

INTERRUPTED = 130
POLL = 0.5  # seconds between two looks at a repair's events
LONGEST_SILENCE = 120.0  # seconds for one request: a page of large documents takes its time


@dataclass(frozen=True)
class ComparisonOptions:
    """How to compare and how to show it."""

    content: bool
    full: bool
    limit: int
    json: bool
    remove_foreign: bool

    def at(self, database: "Database", reader: "Reader", **more: Any) -> "VerifyReport":
        """Compare with a progress bar."""
        from outboxctl.cli import rendering
        from outboxctl.operations.verify.survey import survey

        with rendering.progress("comparing", _rows(database)) as advance:
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
    from outboxctl.core.documents import entities

    if not sys.stderr.isatty():
        return 0
    with database.begin() as connection:
        return entities.count(connection)


def look(given: "Settings", how: ComparisonOptions) -> int:
    """Compare and show it; returns the exit code."""
    from outboxctl.cli.verify.view import show
    from outboxctl.operations.verify.compare import CONNECTIONS

    with checked_database(given, connections=CONNECTIONS) as db, _reader(given) as reader:
        report = how.at(db, reader)
    show(report, None, json=how.json)
    return ExitCode.FINDINGS if report.differences else ExitCode.OK


def foretell(given: "Settings", how: ComparisonOptions) -> int:
    """Compare and show what a repair would do; returns the exit code of a look."""
    from outboxctl.cli.verify.view import show
    from outboxctl.operations.verify.compare import CONNECTIONS
    from outboxctl.operations.verify.repair_actions import Repaired, foresee

    planned = Repaired(act_id="")

    def act(found: "Iterable[Difference]") -> None:
        nonlocal planned
        planned = foresee(found, remove_foreign=how.remove_foreign)

    with checked_database(given, connections=CONNECTIONS) as db, _reader(given) as reader:
        report = how.at(db, reader, act=act)
    show(report, None, planned=planned, json=how.json)
    return ExitCode.FINDINGS if report.differences else ExitCode.OK


def repair_and_compare(
    given: "Settings", how: ComparisonOptions, by: str, reason: str, *, wait: float | None, yes: bool
) -> int:
    """Compare and enqueue as it goes, and look again after `wait` seconds at most; returns the exit code.

    ^C ends it between two batches.
    """
    from outboxctl.cli.verify.view import show
    from outboxctl.operations.batches import stoppable
    from outboxctl.operations.verify.compare import CONNECTIONS

    what = f"repair the index {given.elastic_index}"
    with (
        acting(given, what, yes=yes, connections=CONNECTIONS + 1) as db,
        _reader(given) as reader,
        _with_partial_repair(repair := _prepared(db, reader, how, by, reason)),
        stoppable() as stop,
    ):
        report = how.at(db, reader, stop=stop, act=lambda found: repair.run(found, stop=stop))
        after, undelivered = None, 0
        if wait and report.differences and not stop.is_set():
            undelivered = _wait(repair, wait, stop)
            after = None if stop.is_set() else how.at(db, reader, stop=stop)
        interrupted = stop.is_set()
    show(report, repair.done, after=after, json=how.json)
    if interrupted:
        return INTERRUPTED
    if after.differences if after else repair.done.left:
        return ExitCode.FINDINGS
    return ExitCode.INCONCLUSIVE if undelivered else ExitCode.OK


def _prepared(db: "Database", reader: "Reader", how: ComparisonOptions, by: str, reason: str) -> "Repair":
    from outboxctl.operations.verify.repair import Repair
    from outboxctl.sink.index.repair import Mender

    mender = Mender(reader.client, reader.shape.index)
    return Repair(db, mender, by, reason, how.remove_foreign, reader.check_unchanged)


@contextmanager
def _with_partial_repair(repair: "Repair") -> "Iterator[None]":
    """Have an error say what was done before it."""
    from outboxctl.cli.verify import view as drift

    try:
        yield
    except OutboxctlError:
        drift.print_partial_repair(repair.done)
        raise


def _wait(repair: "Repair", seconds: float, stop: "Event") -> int:
    """Until the repair's events are delivered or have failed, the time is up, or it shall stop.

    Returns how many are left then.
    """
    from time import monotonic

    from outboxctl.cli import rendering

    end, left = monotonic() + seconds, repair.undelivered()
    with rendering.progress("waiting for a worker", left) as advance:
        while left and monotonic() < end and not stop.wait(min(POLL, max(0.0, end - monotonic()))):
            before, left = left, repair.undelivered()
            advance(before - left)
    return left


@contextmanager
def _reader(given: "Settings") -> "Iterator[Reader]":
    from outboxctl.sink.index.scan import Reader
    from outboxctl.sink.transport.open import connect

    with closing(connect(given, timeout=LONGEST_SILENCE)) as client:
        yield Reader(client, given.elastic_index)
