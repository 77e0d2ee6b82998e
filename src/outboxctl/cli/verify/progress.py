"""The comparison and the repair of `verify`: progress, ^C, waiting, exit codes."""

import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from outboxctl.cli import rendering
from outboxctl.cli.ending import INTERRUPTED
from outboxctl.cli.guards import acting, checked_database
from outboxctl.cli.verify.view import print_partial_repair, show
from outboxctl.domain.errors import ExitCode, OutboxctlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from threading import Event

    from outboxctl.core.database import Database
    from outboxctl.operations.verify.model import Difference, VerifyReport
    from outboxctl.operations.verify.repair import Repair, Repaired
    from outboxctl.settings import Settings
    from outboxctl.sink.index.scan import Reader

POLL = 0.5  # seconds between two queries of a repair's events
LONGEST_SILENCE = 120.0  # seconds for one request: a page of large documents takes its time


@dataclass(frozen=True)
class ComparisonOptions:
    """How to compare and how to show it."""

    content: bool
    full: bool
    limit: int
    json: bool
    remove_foreign: bool

    def compare(self, database: "Database", reader: "Reader", **more: Any) -> "VerifyReport":
        """Compare with a progress bar."""
        from outboxctl.operations.verify.survey import survey

        with rendering.progress("comparing", _rows(database)) as advance:
            more |= {"content": self.content, "full": self.full, "limit": self.limit}
            return survey(database, reader, advance=advance, **more)


def _rows(database: "Database") -> int:
    """The number of rows; 0 where no progress is shown."""
    from outboxctl.core.documents import entities

    if not sys.stderr.isatty():
        return 0
    with database.begin() as connection:
        return entities.count(connection)


def compare(settings: "Settings", options: ComparisonOptions) -> int:
    """Compare and show it; returns the exit code."""
    return _compare(settings, options, None)


def preview(settings: "Settings", options: ComparisonOptions) -> int:
    """Compare and show what a repair would do; returns the exit code of a comparison."""
    from outboxctl.operations.verify.repair import Repaired

    return _compare(settings, options, Repaired(act_id=""))


def _compare(settings: "Settings", options: ComparisonOptions, planned: "Repaired | None") -> int:
    from outboxctl.operations.verify.compare import CONNECTIONS
    from outboxctl.operations.verify.repair import foresee

    def act(differences: "Iterable[Difference]") -> None:
        nonlocal planned
        planned = foresee(differences, remove_foreign=options.remove_foreign)

    with checked_database(settings, connections=CONNECTIONS) as db, _reader(settings) as reader:
        report = options.compare(db, reader, act=act if planned else None)
    show(report, None, planned=planned, json=options.json)
    return ExitCode.FINDINGS if report.differences else ExitCode.OK


def repair_and_compare(
    settings: "Settings", options: ComparisonOptions, who: dict[str, str], *, wait: float | None, yes: bool
) -> int:
    """Compare and enqueue as it goes, and again after `wait` seconds at most; returns the exit code.

    ^C ends it between two batches.
    """
    from outboxctl.operations.batches import stoppable
    from outboxctl.operations.verify.compare import CONNECTIONS

    what = f"repair the index {settings.elastic_index}"
    with (
        acting(settings, what, yes=yes, connections=CONNECTIONS + 1) as db,
        _reader(settings) as reader,
        _with_partial_repair(repair := _prepared(db, reader, options, who)),
        stoppable() as stop,
    ):
        report = options.compare(db, reader, stop=stop, act=lambda rows: repair.run(rows, stop=stop))
        after, undelivered = None, 0
        if wait and report.differences and not stop.is_set():
            undelivered = _wait(repair, wait, stop)
            after = None if stop.is_set() else options.compare(db, reader, stop=stop)
        interrupted = stop.is_set()
    show(report, repair.done, after=after, json=options.json)
    if interrupted:
        return INTERRUPTED
    if after.differences if after else repair.done.left:
        return ExitCode.FINDINGS
    return ExitCode.INCONCLUSIVE if undelivered else ExitCode.OK


def _prepared(db: "Database", reader: "Reader", options: ComparisonOptions, who: dict[str, str]) -> "Repair":
    from outboxctl.operations.verify.repair import Repair
    from outboxctl.sink.index.repair import Mender

    mender = Mender(reader.client, reader.shape.index)
    return Repair(db, mender, who["by"], who["reason"], options.remove_foreign, reader.check_unchanged)


@contextmanager
def _with_partial_repair(repair: "Repair") -> "Iterator[None]":
    """Print what was repaired before an error."""
    try:
        yield
    except OutboxctlError:
        print_partial_repair(repair.done)
        raise


def _wait(repair: "Repair", seconds: float, stop: "Event") -> int:
    """Wait for the repair's events, so many seconds at most or until `stop`; returns how many are left."""
    end, left = monotonic() + seconds, repair.undelivered()
    with rendering.progress("waiting for a worker", left) as advance:
        while left and monotonic() < end and not stop.wait(min(POLL, max(0.0, end - monotonic()))):
            before, left = left, repair.undelivered()
            advance(before - left)
    return left


@contextmanager
def _reader(settings: "Settings") -> "Iterator[Reader]":
    from outboxctl.sink.index.scan import Reader
    from outboxctl.sink.transport.open import connect

    with closing(connect(settings, timeout=LONGEST_SILENCE)) as client:
        yield Reader(client, settings.elastic_index)
