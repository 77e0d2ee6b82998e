"""`bench`: the rates of the user's own servers, and how near the worker comes to them."""

from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.chaos.ledger import say, undo_leftovers
from outboxctl.cli.guards import confirm
from outboxctl.cli.options import Json, NotProduction
from outboxctl.cli.services import Search
from outboxctl.domain.errors import OutboxctlError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from outboxctl.drills.bench.options import BenchOptions
    from outboxctl.drills.bench.rig import Rig
    from outboxctl.drills.faults.guest import GuestNames
    from outboxctl.drills.scratch.folder import ScratchFolder
    from outboxctl.settings import Settings

TASK = "put load on the database and the sink"
EVENTS, BYTES, REPEAT = 20_000, 600, 5


def bench(
    events: Annotated[int, typer.Option(min=1_000, max=1_000_000, help="Events a measurement.")] = EVENTS,
    size: Annotated[
        int, typer.Option("--bytes", min=200, max=1_000_000, help="JSON of a document, about.")
    ] = BYTES,
    repeat: Annotated[int, typer.Option(min=1, max=50, help="Repetitions.")] = REPEAT,
    concurrency: Annotated[
        str | None,
        typer.Option(help="Lanes, or several to find the best of [default: OUTBOX_CONCURRENCY]."),
    ] = None,
    bulk_size: Annotated[
        str | None,
        typer.Option(help="Events a batch, or several to find the best of [default: OUTBOX_BULK_SIZE]."),
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="On servers of its own, started for the run.")] = False,
    search: Annotated[Search, typer.Option(help="With --own: which search engine.")] = Search.AUTO,
    out: Annotated[Path | None, typer.Option(help="A folder for bench.json, bench.md and bench.svg.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    sure: NotProduction = False,
    json: Json = False,
) -> None:
    """Measure what the sink and the database take alone, and what the real worker makes of both.

    On the servers of DATABASE_URL and ELASTIC_URL, in a schema and an index of its own that are removed
    at the end; or on servers of its own. It says which of the three is the limit and what to change.

    Example: outboxctl bench --own --concurrency 1,2,4 --bulk-size 500,1000,2000
    """
    from outboxctl.cli.bench import bench_arguments
    from outboxctl.cli.bench.view import measured, show
    from outboxctl.drills.scratch.folder import SignalReceived, own_folder, sweep

    settings = bench_arguments.settings(own=own, search=search.value)
    checked = bench_arguments.checked_options(settings, events, size, repeat, concurrency, bulk_size)
    out_folder = bench_arguments.folder(out)
    sweep("bench", say)
    if not own:  # there is nothing to undo on servers of its own
        undo_leftovers()
    names = None if own else _confirmed(settings, checked, yes=yes, sure=sure)
    try:
        with own_folder("bench", say) as folder, _reporting(folder):
            report = measured(_place(settings, names, folder.path, search), checked)
    except SignalReceived as signal:
        raise typer.Exit(signal.code) from None
    show(report, out_folder, json=json)
    if report.interrupted:
        raise typer.Exit(128 + folder.interrupted)


@contextmanager
def _reporting(folder: "ScratchFolder") -> "Iterator[None]":
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


def _confirmed(settings: "Settings", checked: "BenchOptions", *, yes: bool, sure: bool) -> "GuestNames":
    """The names of the schema and the index, shown and confirmed. UsageError, UnreachableError."""
    from outboxctl.cli.bench.view import announce
    from outboxctl.core.database import Database
    from outboxctl.drills.faults import guest
    from outboxctl.drills.faults.gate import allow

    with closing(Database(settings.require_database_url(), connections=1)) as database:
        allow(settings, TASK, sure=sure)
        names = guest.names("bench", settings.elastic_index, guest.new_mark())
        with suppress(BrokenPipeError):  # stderr is not read, so only --yes can confirm
            announce(settings, database.name, names, checked)
        confirm(settings, database, TASK, yes=yes, always=True)
    return names


def _place(
    settings: "Settings", names: "GuestNames | None", folder: Path, search: Search
) -> "AbstractContextManager[Rig]":
    from outboxctl.drills.bench import place

    if names is None:
        return place.own_servers(folder, search.value, say)
    say("making the schema and the index")
    return place.users_servers(settings, names, folder)
