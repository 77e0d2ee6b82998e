"""`projection`: documents from your own tables, declared in a file."""

from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import guards, rendering
from outboxctl.cli.options import (
    By,
    Json,
    LockWait,
    Reason,
    Yes,
    audited,
    group,
    print_progress,
    settings,
)
from outboxctl.cli.projection import plan_view, view
from outboxctl.domain.errors import ExitCode, OutboxctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.database import Connection
    from outboxctl.operations.projection.drop import Dropped
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


@app.command()
def init(
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
    json: Json = False,
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
    with guards.looking(settings()) as connection:
        if from_pgsync:
            starts = pgsync.starts(connection, from_pgsync)
        else:
            starts = [starting.of_tables(connection, tables or [])]
    text = "\n".join(each.toml() for each in starts)
    if json:
        parts = [{"name": each.name, "query": each.query} for each in starts]
        rendering.emit_json({"toml": text, "projections": parts})
    else:
        typer.echo(text, nl=False)


@app.command()
def plan(file: File, triggers: Triggers = None, json: Json = False) -> None:
    """Show what `apply` would do, what needs a rebuild, which indexes are missing, and how far changes reach.

    The documents behind a changed row are counted in a sample of rows, for seconds at most. Exit 0 if there
    is nothing to do, 4 if there is. Nothing is changed.

    Example: outboxctl projection plan products.toml
    """
    from outboxctl.core.projections import in_force
    from outboxctl.operations.projection import declaration, schemas
    from outboxctl.operations.projection.costs import count_documents_behind
    from outboxctl.operations.projection.plan import plan as planning

    declared, configured = declaration.read(file), settings()
    servers, index, known = view.server_names(configured), configured.elastic_index, in_force.Kept()
    print_progress(str(servers))
    with _looking(configured) as connection, _sink(configured) as client:
        gone = schemas.gone(connection, declared)
        for line in schemas.left_out(connection, declared):
            print_progress(line)
        groups, planned = schemas.by_schema(schemas.expand(connection, declared)), []
        with rendering.progress("planning", len(groups)) as advance:
            for group in groups:
                planned += planning(
                    connection, client, group, built_in=index, with_triggers=triggers, known=known
                )
                advance(1)
        count_documents_behind(connection, planned)
    plan_view.plan(planned, file, servers, gone=gone, json=json)
    if gone or any(each.steps for each in planned):
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def sql(
    file: File,
    triggers: Triggers = None,
    drop_views: Annotated[
        bool,
        typer.Option(
            "--drop-views",
            help="Print what drops the views that `apply` created, to be run before a migration of your own"
            " tables.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Print the SQL of `apply`, for your own migrations: views, triggers, and the declaration.

    Run by psql it leaves in the database what `apply` leaves. The index is made by `apply`.

    Example: outboxctl projection sql products.toml > 0042_products.sql
    """
    from outboxctl.operations.projection import declaration, schemas
    from outboxctl.operations.projection.plan import drop_views_script, script
    from outboxctl.operations.projection.plan import plan as planning

    declared, configured = declaration.read(file), settings()
    with _looking(configured) as connection:
        if drop_views:
            printed = drop_views_script(connection, declared)
        else:
            each_schema = schemas.expand(connection, declared)
            planned = planning(
                connection, None, each_schema, built_in=configured.elastic_index, with_triggers=triggers
            )
            printed = script(connection, planned)
    if json:
        rendering.emit_json({"sql": printed})
    else:
        typer.echo(printed)


@app.command()
def apply(
    file: File,
    by: By,
    reason: Reason,
    triggers: Triggers = None,
    wait: LockWait = 60.0,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put the declared projections in force, in one transaction; what is as declared already stays.

    A declaration for several schemas is applied schema by schema, once all of them fit; the projection of a
    schema that is gone is dropped.

    Workers take it up within a second. A missing index is made behind its alias; one that is there only
    gets new fields. A projection that the file does not name stays as it is.

    Example: outboxctl projection apply products.toml --by alice --reason "product search"
    """
    from outboxctl.operations.projection import declaration
    from outboxctl.operations.projection.apply import Applying

    declared, who, configured = declaration.read(file), audited(by, reason), settings()
    servers = view.server_names(configured)
    names = ", ".join(each.name for each in declared)
    what = f"apply the projections {names}, indexed at {servers.named_sink}"
    print_progress(str(servers))
    with guards.acting(configured, what, yes=yes) as db, guards.as_owner(), _sink(configured) as client:
        index = configured.elastic_index
        work = Applying(
            db, client, who["by"], who["reason"], index, triggers, wait, print_progress, rendering.progress
        )
        done = work.apply(declared)
    view.applied(done, servers, json=json)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the projections in force, and their events that are not done.

    Example: outboxctl projection list
    """
    from outboxctl.operations.projection.overview import overviews

    configured = settings()
    with guards.reading(configured) as connection:
        found = overviews(connection, configured.elastic_index)
    view.overviews(found, json=json)


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show a projection in force: its index, the tables that it follows, and its events.

    Of a declaration for several schemas all its projections are listed.

    Example: outboxctl projection show product
    """
    from outboxctl.operations.projection.overview import overviews

    configured = settings()
    with guards.reading(configured) as connection:
        found = overviews(connection, configured.elastic_index, name)
    view.overview(found, json=json)


@app.command()
def preview(
    name: Name,
    keys: Annotated[
        list[str], typer.Argument(metavar="KEY…", help="Keys of documents; of several columns as a:b.")
    ],
    json: Json = False,
) -> None:
    """Show documents as they would be sent and as they are in the index; exit 4 if they differ.

    A key of search_index_to_elastic is the document's id.

    Example: outboxctl projection preview product 42
    """
    from outboxctl.operations.projection.known import named
    from outboxctl.operations.projection.preview import preview as previewing

    configured = settings()
    with guards.reading(configured) as connection, _sink(configured) as client:
        projection = named(connection, name, configured.elastic_index)
        found = previewing(connection, client, projection, keys)
    view.previews(name, found, json=json)
    if not all(each.same for each in found):
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def drop(
    name: Name, by: By, reason: Reason, wait: LockWait = 60.0, yes: Yes = False, json: Json = False
) -> None:
    """Take a projection out of force: triggers, the view of ours and the declaration; the index stays.

    Events that wait are discarded, and audited; those that workers hold are waited for (--wait).

    Example: outboxctl projection drop product --by alice --reason "search was switched off"
    """
    from outboxctl.core.documents.table import unused
    from outboxctl.core.projections import in_force
    from outboxctl.operations.projection.drop import drop as dropping

    who, configured = audited(by, reason), settings()
    with guards.acting(configured, f"drop the projection {name}", yes=yes) as db, guards.as_owner():
        with db.begin() as connection:
            names = in_force.members(connection, name)
        done = [dropping(db, each, **who, patience=wait, report=print_progress) for each in names]
        with db.begin() as connection:
            last = not in_force.names(connection) and unused(connection)
    then = [f"If nobody searches it: {each}" for each in _deletes(configured, done)]
    if last:
        then.append("No projection is left. To remove outboxctl from the database: outboxctl db drop")
    view.dropped(done, then, waited=wait, json=json)


def _deletes(settings: "Settings", dropped: "list[Dropped]") -> list[str]:
    """Commands that delete the indexes which no other projection shares, where the sink names them."""
    from outboxctl.operations.doctor.remedies import reaching, request
    from outboxctl.sink.index.alias import leads_to

    names = {each.index for each in dropped if not each.id_prefix and "{" not in each.index}
    with suppress(OutboxctlError), _sink(settings) as client:
        indexes = sorted({index for behind in leads_to(client, names, ()).values() for index in behind})
        return [reaching(request("DELETE", each), settings) for each in indexes]
    return []


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
