"""The comparison and the repair of `verify`: progress, ^C, waiting, exit codes."""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Event
from time import monotonic
from typing import Any

from outboxctl.cli import rendering
from outboxctl.cli.ending import INTERRUPTED
from outboxctl.cli.guards import checked_database, confirm, refuse_if_read_only
from outboxctl.cli.verify.targets import ChosenTargets, Target, targets
from outboxctl.cli.verify.view import Compared, print_partial_repair, show
from outboxctl.core.database import Database
from outboxctl.domain.errors import ExitCode, OutboxctlError
from outboxctl.operations.batches import stoppable
from outboxctl.operations.verify.compare import CONNECTIONS
from outboxctl.operations.verify.repair import Repair, Repaired
from outboxctl.settings import Settings
from outboxctl.sink.transport.open import connect

POLL = 0.5  # seconds between two queries of a repair's events
LONGEST_SILENCE = 120.0  # seconds for one request: a page of large documents takes its time


@dataclass(frozen=True)
class ComparisonOptions:
    """What to compare, how, and how to show it."""

    content: bool
    limit: int
    json: bool
    remove_foreign: bool
    projection: str | None = None

    def compare(self, target: Target, **more: Any) -> Any:
        """Compare one with a progress bar; its report."""
        title = f"comparing {target.name}" if target.name else "comparing"
        with rendering.progress(title, target.rows() if sys.stderr.isatty() else 0) as advance:
            more |= {"content": self.content, "limit": self.limit}
            return target.survey(advance=advance, **more)


def compare(settings: Settings, options: ComparisonOptions, *, dry_run: bool) -> int:
    """Compare and show it, in a dry run also what a repair would do; returns the exit code."""
    with _targets(settings, options, extra=0) as (_, found):
        compared = [_or_error(each, lambda one: _one(one, options, dry_run=dry_run)) for each in found.chosen]
    _show(compared, found, options, dry_run=dry_run)
    return ExitCode.FINDINGS if any(each.report.differences for each in compared) else ExitCode.OK


def _show(
    compared: Sequence[Compared], found: ChosenTargets, options: ComparisonOptions, *, dry_run: bool
) -> None:
    """Show all reports, then raise the first error."""
    show(compared, skipped=found.skipped, dry_run=dry_run, json=options.json)
    for each in compared:
        if each.error:
            raise each.error


def _one(target: Target, options: ComparisonOptions, *, dry_run: bool) -> Compared:
    planned = Repaired(act_id="") if dry_run else None

    def act(differences: Iterable[Any]) -> None:
        nonlocal planned
        planned = target.foresee(differences, remove_foreign=options.remove_foreign)

    report = options.compare(target, act=act if dry_run else None)
    return Compared(target.name, report, planned=planned)


def repair_and_compare(
    settings: Settings, options: ComparisonOptions, who: dict[str, str], *, wait: float | None, yes: bool
) -> int:
    """Compare and enqueue as it goes, and again after `wait` seconds at most; returns the exit code.

    ^C ends it between two batches.
    """
    refuse_if_read_only(settings, f"repair the index {settings.elastic_index}")
    with _targets(settings, options, extra=1) as (db, found), stoppable() as stop:
        confirm(settings, db, _words(settings, found.chosen), yes=yes)

        def one(target: Target) -> Compared:
            return _repaired(target, options, who, wait=wait, stop=stop)

        compared = [_or_error(each, one) for each in found.chosen if not stop.is_set()]
        interrupted = stop.is_set()
    _show(compared, found, options, dry_run=False)
    return INTERRUPTED if interrupted else max((each.exit_code for each in compared), key=_gravity)


def _words(settings: Settings, chosen: Sequence[Target]) -> str:
    """What a repair is about to do, for a question."""
    names = [target.name for target in chosen if target.name]
    index = [] if len(names) == len(chosen) else [f"the index {settings.elastic_index}"]
    return f"repair {' and '.join(index + [f'that of {name}' for name in names])}"


def _gravity(code: int) -> int:
    return [ExitCode.OK, ExitCode.INCONCLUSIVE, ExitCode.FINDINGS].index(ExitCode(code))


def _repaired(
    target: Target, options: ComparisonOptions, who: dict[str, str], *, wait: float | None, stop: Event
) -> Compared:
    repair = target.repair(who, remove_foreign=options.remove_foreign)
    after, undelivered = None, 0
    try:
        report = options.compare(target, stop=stop, act=lambda rows: repair.run(rows, stop=stop))
        if wait and report.differences and not stop.is_set():
            undelivered = _wait(repair, wait, stop)
            after = None if stop.is_set() else options.compare(target, stop=stop)
    except OutboxctlError:
        print_partial_repair(repair.done)
        raise
    return Compared(target.name, report, repaired=repair.done, after=after, undelivered=undelivered)


def _or_error(target: Target, work: Callable[[Target], Compared]) -> Compared:
    """The result; a projection that cannot be compared keeps no other from it."""
    try:
        return work(target)
    except OutboxctlError as error:
        if not target.name:
            raise
        return Compared(target.name, None, error=error)


def _wait(repair: Repair, seconds: float, stop: Event) -> int:
    """Wait for the repair's events, so many seconds at most or until `stop`; returns how many are left."""
    end, left = monotonic() + seconds, repair.undelivered()
    with rendering.progress("waiting for a worker", left) as advance:
        while left and monotonic() < end and not stop.wait(min(POLL, max(0.0, end - monotonic()))):
            before, left = left, repair.undelivered()
            advance(before - left)
    return left


@contextmanager
def _targets(
    settings: Settings, options: ComparisonOptions, *, extra: int
) -> Iterator[tuple[Database, ChosenTargets]]:
    """The database, with `extra` connections besides those of a comparison, and what is compared."""
    # A page is thousands of objects without cycles: as in the worker (daemon.tune_collector).
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    with (
        checked_database(settings, connections=CONNECTIONS + extra) as db,
        closing(connect(settings, timeout=LONGEST_SILENCE)) as client,
    ):
        yield db, targets(settings, db, client, options.projection)
