"""A run of `bench`: leftovers removed, confirmed, and measured on the servers that the flags name."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from time import monotonic

from outboxctl.cli.bench.view import announce, following
from outboxctl.cli.chaos.ledger import say
from outboxctl.cli.chaos.leftovers import undo_leftovers
from outboxctl.cli.guards import confirm
from outboxctl.core.database import Database
from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills.bench import place
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.measured import BenchOptions
from outboxctl.drills.bench.report import BenchReport
from outboxctl.drills.bench.run import measure
from outboxctl.drills.faults import guest
from outboxctl.drills.faults.gate import allow
from outboxctl.drills.scratch.folder import ScratchFolder, own_folder, sweep
from outboxctl.drills.services.model import SearchWish
from outboxctl.settings import Settings

TASK = "put load on both ends"


def prepared(
    settings: Settings, options: BenchOptions, *, own: bool, yes: bool, sure: bool
) -> guest.GuestNames | None:
    """Remove what killed runs left; the confirmed names of schema and index, None on servers of its own.

    Raises UsageError, UnreachableError.
    """
    sweep("bench", say)
    if own:
        return None
    undo_leftovers()
    with closing(Database(settings.require_database_url(), connections=1)) as database:
        allow(settings, TASK, sure=sure)
        names = guest.names("bench", settings.elastic_index, guest.new_mark())
        with suppress(BrokenPipeError):  # stderr is not read, so only --yes can confirm
            announce(settings, database.name, names, options)
        confirm(settings, database, TASK, yes=yes, always=True)
    return names


def measured(
    settings: Settings, names: guest.GuestNames | None, options: BenchOptions, search: SearchWish
) -> tuple[BenchReport, int]:
    """Measure, with the progress on stderr; the report, and the number of a signal that interrupted it."""
    with own_folder("bench", say) as folder, _reporting(folder):
        at, began = datetime.now(UTC), monotonic()
        if names is None:
            servers = place.own_servers(folder.path, search, say)
        else:
            say("making the schema and the index")
            servers = place.users_servers(settings, names, folder.path)
        with servers as rig:
            machine, together = surroundings(rig.versions), place.shared(rig.settings)
            with following(options.steps) as progress:
                values = measure(rig, options, shared=together, progress=progress)
        report = BenchReport(at, monotonic() - began, values.interrupted, machine, values)
    return report, folder.interrupted


@contextmanager
def _reporting(folder: ScratchFolder) -> Iterator[None]:
    """Print an error that a signal would hide; after any other, where the worker's log is."""
    try:
        yield
        folder.succeeded = True
    except OutboxctlError as error:
        if folder.interrupted:
            say(f"{error}; {error.hint}")
        elif folder.log.exists():
            say(f"the worker's log: {folder.log}")
        raise
