"""A run of `bench`: flags checked, leftovers removed, confirmed, and measured."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from outboxctl.cli.bench.view import announce, following
from outboxctl.cli.chaos.ledger import say, undo_leftovers
from outboxctl.cli.guards import confirm
from outboxctl.cli.options import settings
from outboxctl.core.database import Database
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.domain.printable import brief
from outboxctl.drills.bench import measured, place
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.measured import BenchOptions, Cell
from outboxctl.drills.bench.report import BenchReport
from outboxctl.drills.bench.run import measure
from outboxctl.drills.faults import guest
from outboxctl.drills.faults.gate import allow
from outboxctl.drills.scratch.folder import ScratchFolder, own_folder, sweep
from outboxctl.drills.scratch.settings import fixed
from outboxctl.drills.services.model import SearchWish
from outboxctl.settings import Settings

TASK = "put load on the database and the sink"
NUMBERS = re.compile(r"\s*[0-9]{1,6}\s*(,\s*[0-9]{1,6}\s*)*")


def user_settings(*, own: bool, search: str) -> Settings:
    """The user's settings; with `--own` the defaults, whatever the user's environment has."""
    if not own and search != "auto":
        raise UsageError("--search: only with --own", hint="else the engine is that of ELASTIC_URL")
    if own:
        return fixed({})
    configured = settings()
    if configured.database_url is None:
        hint = "export it, or take --own: servers are started for the run"
        raise UsageError("DATABASE_URL is not set", hint=hint)
    return configured


def checked_options(
    own: Settings, events: int, size: int, repeat: int, concurrency: str | None, bulk_size: str | None
) -> BenchOptions:
    """The checked flags; UsageError names a bad one."""
    if events * size > measured.MOST_BYTES:
        hint = "the documents are held in memory: a gigabyte at most"
        raise UsageError(f"--events {events:,} times --bytes {size:,} is too much", hint=hint)
    lanes = _numbers("--concurrency", concurrency, own.concurrency, measured.MOST_LANES)
    sizes = _numbers("--bulk-size", bulk_size, own.bulk_size, measured.LARGEST_BATCH)
    cells = [Cell(lane, batch) for lane in lanes for batch in sizes]
    if len(cells) > measured.MOST_CELLS:
        hint = "name fewer values"
        raise UsageError(f"{len(cells)} settings to try: at most {measured.MOST_CELLS}", hint=hint)
    return BenchOptions(events, size, repeat, cells)


def _numbers(flag: str, text: str | None, default: int, most: int) -> list[int]:
    """The numbers of `1,2,4`, each once and in order; UsageError."""
    if text is None:
        return [default]
    numbers = {int(word) for word in text.split(",")} if NUMBERS.fullmatch(text) else {0}
    if not all(1 <= number <= most for number in numbers):
        what = f"{flag}: expected numbers from 1 to {most:,}, got {brief(repr(text), 80)}"
        raise UsageError(what, hint="for example 4, or 1,2,4")
    return sorted(numbers)


def folder(out: Path | None) -> Path | None:
    """Create the folder before the measurement, so that an error is reported at once. UsageError."""
    if out is None:
        return None
    try:
        out.mkdir(parents=True, exist_ok=True)
        (probe := out / ".bench").touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--out: cannot write to {brief(out, 200)}: {error.strerror}") from None
    return out


def prepared(
    base: Settings, options: BenchOptions, *, own: bool, yes: bool, sure: bool
) -> guest.GuestNames | None:
    """Remove what killed runs left; the confirmed names of schema and index, None on servers of its own.

    Raises UsageError, UnreachableError.
    """
    sweep("bench", say)
    if own:
        return None
    undo_leftovers(settings)
    with closing(Database(base.require_database_url(), connections=1)) as database:
        allow(base, TASK, sure=sure)
        names = guest.names("bench", base.elastic_index, guest.new_mark())
        with suppress(BrokenPipeError):  # stderr is not read, so only --yes can confirm
            announce(base, database.name, names, options)
        confirm(base, database, TASK, yes=yes, always=True)
    return names


def run(
    base: Settings, names: guest.GuestNames | None, options: BenchOptions, search: SearchWish
) -> tuple[BenchReport, int]:
    """Measure, with the progress on stderr; the report, and the number of a signal that interrupted it."""
    with own_folder("bench", say) as folder, _reporting(folder):
        at, began = datetime.now(UTC), monotonic()
        if names is None:
            servers = place.own_servers(folder.path, search, say)
        else:
            say("making the schema and the index")
            servers = place.users_servers(base, names, folder.path)
        with servers as rig:
            machine, together = surroundings(rig.versions), place.shared(rig.settings)
            with following(options.steps) as progress:
                values = measure(rig, options, shared=together, progress=progress)
        report = BenchReport(at, monotonic() - began, machine, values)
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
