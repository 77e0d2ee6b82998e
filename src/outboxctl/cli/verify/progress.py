"""The comparison and the repair of `verify`: progress, ^C, exit codes."""

import gc
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any

from outboxctl.cli import rendering
from outboxctl.cli.ending import INTERRUPTED
from outboxctl.cli.guards import checked_database, confirm, refuse_if_read_only
from outboxctl.cli.verify.targets import Target, targets
from outboxctl.cli.verify.view import Compared, print_partial_repair, show
from outboxctl.core.database import Database
from outboxctl.domain.errors import ExitCode, InconclusiveError, OutboxctlError
from outboxctl.operations.batches import stoppable
from outboxctl.operations.verify.compare import CONNECTIONS
from outboxctl.operations.verify.model import VerifyReport
from outboxctl.operations.verify.repair import Repair, Repaired
from outboxctl.operations.verify.survey import Act, survey
from outboxctl.settings import Settings
from outboxctl.sink.transport.open import connect

LONGEST_SILENCE = 120.0  # seconds for one request: a page of large documents takes its time


@dataclass(frozen=True)
class ComparisonOptions:
    """What to compare, how, and how to show it; `who` repairs it, or with `dry_run` would."""

    content: bool
    limit: int
    json: bool
    remove_foreign: bool
    projection: str | None
    who: dict[str, Any] | None = None
    dry_run: bool = False


def verify(settings: Settings, options: ComparisonOptions, *, yes: bool) -> int:
    """Compare, repair as it goes, and show it; the exit code. ^C ends a repair between two batches."""
    repairs = options.who is not None and not options.dry_run
    if repairs:
        refuse_if_read_only(settings, f"repair the index {settings.elastic_index}")
    with (
        _targets(settings, options) as (db, chosen, skipped),
        stoppable() if repairs else nullcontext(Event()) as stop,
    ):
        if repairs:
            names = dict.fromkeys(each.name or settings.elastic_index for each in chosen)
            confirm(settings, db, f"repair the documents of {', '.join(names)}", yes=yes)
        compared = [_compared(each, options, stop) for each in chosen if not stop.is_set()]
        interrupted = stop.is_set()
    show(compared, skipped=skipped, dry_run=options.dry_run, json=options.json)
    for each in compared:
        if each.error:
            raise each.error
    if interrupted:
        return INTERRUPTED
    return ExitCode.FINDINGS if any(each.left for each in compared) else ExitCode.OK


def _compared(target: Target, options: ComparisonOptions, stop: Event) -> Compared:
    """What comes of one; a projection that cannot be compared keeps no other from it."""
    done, act = None, None
    if options.who:
        done = Repaired(act_id="") if options.dry_run else Repaired()
        given: dict[str, Any] = {"remove_foreign": options.remove_foreign, "dry_run": options.dry_run}
        act = partial(Repair(target.sides, **given, **options.who, done=done).run, stop=stop)
    try:
        report = _surveyed(target, options, stop, act)
    except OutboxctlError as error:
        if done and not options.dry_run:
            print_partial_repair(done)
        if not target.name:
            raise
        return Compared(target.name, None, error=error)
    planned, repaired = (done, None) if options.dry_run else (None, done)
    return Compared(target.name, report, planned, repaired)


def _surveyed(target: Target, options: ComparisonOptions, stop: Event, act: Act | None) -> VerifyReport:
    """Compare one with a progress bar. Raises InconclusiveError where it cannot be compared."""
    if target.why_not:
        raise InconclusiveError(target.why_not, hint=target.fix)
    sides, rows = target.sides, 0
    if sys.stderr.isatty():
        with sides.database.begin() as connection:
            rows = sides.source.count(connection)
    with rendering.progress(f"comparing {target.name}".rstrip(), rows) as advance:
        return survey(sides, limit=options.limit, advance=advance, stop=stop, act=act)


@contextmanager
def _targets(settings: Settings, options: ComparisonOptions) -> Iterator[tuple[Database, list[Target], str]]:
    """The database, with a connection for a repair besides those of a comparison, and what is compared."""
    # A page is thousands of objects without cycles: as in the worker (daemon.tune_collector).
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    with (
        checked_database(settings, connections=CONNECTIONS + 1) as db,
        closing(connect(settings, timeout=LONGEST_SILENCE)) as client,
    ):
        yield db, *targets(settings, db, client, options.projection, content=options.content)
