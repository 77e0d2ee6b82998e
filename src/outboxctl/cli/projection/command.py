"""`projection`: documents from your own tables, declared in a file."""

from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import guards
from outboxctl.cli.options import (
    By,
    ChangeOptions,
    DatabaseOptions,
    LockWait,
    PipelineOptions,
    Reason,
    audited,
    group,
    print_progress,
)
from outboxctl.cli.projection import plan_view, view
from outboxctl.cli.projection.servers import server_names
from outboxctl.domain.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.database import Connection
    from outboxctl.settings import Settings
    from outboxctl.sink.transport.client import Client

app = group("Documents from your own tables: a file declares them.")
File = Annotated[Path, typer.Argument(metavar="FILE", help="The declaration, in TOML.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The projection.")]
Triggers = Annotated[
    bool | None,
    typer.Option(
        "--triggers/--no-triggers",
        help="Make triggers; without them the application calls outboxctl.touch"
        " [default: as in force, else with triggers].",
    ),
]


@dataclass(frozen=True, kw_only=True)
class ApplyOptions(ChangeOptions, PipelineOptions):
    """Of a command that changes the database and the index."""


@app.command()
def init(
    common: DatabaseOptions,
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TABLE…",
            help="Tables; the first has a row a document.",
        ),
    ] = None,
    from_pgsync: Annotated[
        Path | None, typer.Option("--from-pgsync", help="pgsync's schema file, instead of tables.")
    ] = None,
) -> None:
    """Print a starting declaration for tables that are there, from their columns and foreign keys.

    Tables with a foreign key to the first become nested arrays, tables that it refers to nested objects; a
    table that only links two others is passed through. `projection plan` takes the file as it is.

    Example: outboxctl projection init shop.products shop.reviews shop.categories > products.toml
    """
    from outboxctl.operations.projection.starting import init as starting
    from outboxctl.operations.projection.starting import pgsync

    if bool(tables) == bool(from_pgsync):
        raise UsageError(
            "name either tables or --from-pgsync FILE", hint="see `outboxctl projection init --help`"
        )
    with guards.looking(common.settings()) as connection:
        if from_pgsync:
            starts = pgsync.starts(connection, from_pgsync)
        else:
            starts = [starting.of_tables(connection, tables or [])]
    view.starts(starts, json=common.json)


@app.command()
def plan(file: File, common: PipelineOptions, triggers: Triggers = None) -> None:
    """Show what `apply` would do, what needs a rebuild, which indexes are missing, and what changes cost.

    Costs are from samples of the rows, each looked at for seconds at most. Exit 0 if there is nothing to do,
    4 if there is. Nothing is changed.

    Example: outboxctl projection plan products.toml
    """
    from outboxctl.operations.projection import declaration
    from outboxctl.operations.projection.costs import change_costs_of
    from outboxctl.operations.projection.plan import plan as planning

    declared, settings = declaration.read(file), common.settings()
    servers = server_names(settings, common.flags())
    print_progress(str(servers))
    with _looking(settings) as connection, _sink(settings) as client:
        planned = planning(
            connection, client, declared, built_in=settings.elastic_index, with_triggers=triggers
        )
        costs = change_costs_of(connection, planned)
    plan_view.plan(planned, costs, file, servers, json=common.json)
    if any(each.steps for each in planned):
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def sql(file: File, common: PipelineOptions, triggers: Triggers = None) -> None:
    """Print the SQL of `apply`, for your own migrations: views, triggers, and the declaration.

    Run by psql it leaves in the database what `apply` leaves. The index is made by `apply`.

    Example: outboxctl projection sql products.toml > 0042_products.sql
    """
    from outboxctl.operations.projection import declaration
    from outboxctl.operations.projection.plan import plan as planning
    from outboxctl.operations.projection.plan import script

    declared, settings = declaration.read(file), common.settings()
    with _looking(settings) as connection:
        planned = planning(
            connection, None, declared, built_in=settings.elastic_index, with_triggers=triggers
        )
        printed = script(connection, planned)
    view.sql(printed, json=common.json)


@app.command()
def apply(
    file: File, by: By, reason: Reason, common: ApplyOptions, triggers: Triggers = None, wait: LockWait = 60.0
) -> None:
    """Put the declared projections in force, in one transaction; what is as declared already stays.

    Workers take it up within a second. A missing index is made behind its alias; one that is there only
    gets new fields. A projection that the file does not name stays as it is.

    Example: outboxctl projection apply products.toml --by alice --reason "product search"
    """
    from outboxctl.operations.projection import declaration
    from outboxctl.operations.projection.apply import apply as applying

    declared, who, settings = declaration.read(file), audited(by, reason), common.settings()
    servers = server_names(settings, common.flags())
    names = ", ".join(each.name for each in declared)
    what = f"apply the projections {names}, indexed at {servers.named_sink}"
    print_progress(str(servers))
    with guards.acting(settings, what, yes=common.yes) as db, _sink(settings) as client:
        done = applying(
            db,
            client,
            declared,
            **who,
            built_in=settings.elastic_index,
            with_triggers=triggers,
            patience=wait,
            report=print_progress,
        )
    view.applied(done, servers, json=common.json)


@app.command("list")
def list_(common: DatabaseOptions) -> None:
    """List the projections in force, and their events that are not done.

    Example: outboxctl projection list
    """
    from outboxctl.operations.projection.known import overviews

    with guards.reading(common.settings()) as connection:
        found = overviews(connection)
    view.overviews(found, json=common.json)


@app.command()
def show(name: Name, common: DatabaseOptions) -> None:
    """Show a projection in force: its index, the tables that it follows, and its events.

    Example: outboxctl projection show product
    """
    from outboxctl.operations.projection.known import overview

    with guards.reading(common.settings()) as connection:
        found = overview(connection, name)
    view.overview(found, json=common.json)


@app.command()
def preview(
    name: Name,
    keys: Annotated[
        list[str], typer.Argument(metavar="KEY…", help="Keys of documents; of several columns as a:b.")
    ],
    common: PipelineOptions,
) -> None:
    """Show documents as they would be sent and as they are in the index; exit 4 if they differ.

    Example: outboxctl projection preview product 42
    """
    from outboxctl.operations.projection.known import named
    from outboxctl.operations.projection.preview import preview as previewing

    settings = common.settings()
    with guards.reading(settings) as connection, _sink(settings) as client:
        found = previewing(connection, client, named(connection, name), keys)
    view.previews(name, found, json=common.json)
    if not all(each.same for each in found):
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def drop(name: Name, by: By, reason: Reason, common: ChangeOptions, wait: LockWait = 60.0) -> None:
    """Take a projection out of force: triggers, the view of ours and the declaration; the index stays.

    Events that wait are discarded, and audited; those that workers hold are waited for (--wait).

    Example: outboxctl projection drop product --by alice --reason "search was switched off"
    """
    from outboxctl.operations.projection.drop import drop as dropping

    who, settings = audited(by, reason), common.settings()
    with guards.acting(settings, f"drop the projection {name}", yes=common.yes) as db:
        done = dropping(db, name, **who, patience=wait, report=print_progress)
    view.dropped(done, waited=wait, json=common.json)


@contextmanager
def _looking(settings: "Settings") -> "Iterator[Connection]":
    """A transaction to look around in. Not a read-only one: a view is made for a look, and rolled back."""
    with guards.checked_database(settings) as db, db.begin() as connection:
        yield connection


@contextmanager
def _sink(settings: "Settings") -> "Iterator[Client]":
    from outboxctl.sink.transport.open import connect

    with closing(connect(settings)) as client:
        yield client
