"""`db`: the schema."""

from dataclasses import asdict
from typing import Annotated

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.db import mark, notify
from outboxctl.cli.guards import as_owner, confirm, database, refuse_if_read_only
from outboxctl.cli.options import ChangeOptions, DatabaseOptions, Json, LockWait, group, print_progress
from outboxctl.domain.errors import ExitCode

app = group("The schema: migrate, inspect, print.")
app.command("notify")(notify.notify)
app.command("mark")(mark.mark)


@app.command()
def upgrade(common: ChangeOptions, wait: LockWait = 60.0) -> None:
    """Create the tables, or adopt the ones that are there: adds what is missing, drops nothing.

    Beside running workers and writers: a lock that is not had in half a second is tried for again.
    With OUTBOX_ENV set, marks the database as that environment, once.

    Example: outboxctl db upgrade
    """
    from outboxctl.core.schema.migrations import upgrade as run

    settings = common.settings()
    refuse_if_read_only(settings, "migrate the schema")
    with database(settings) as db:
        confirm(settings, db, "migrate the schema", yes=common.yes)
        with as_owner():
            done = run(db, settings.environment, patience=wait, report=print_progress)
    lines = [f"Schema at revision {done.after} (was {done.before or 'none'}) in {db.name}."]
    changes = [f"  added {item}" for item in done.added] + [f"  changed {item}" for item in done.changed]
    lines += changes or ["  nothing to add"]
    lines += [f"Environment marker: {done.environment}"] if done.environment else []
    rendering.show(asdict(done), lambda: lines, json=common.json)


@app.command()
def current(common: DatabaseOptions) -> None:
    """Print the database's revision.

    Example: outboxctl db current
    """
    before, head = _revisions(common)
    rendering.show({"current": before, "head": head}, lambda: [before or "none"], json=common.json)


@app.command()
def check(common: DatabaseOptions) -> None:
    """Exit 0 if the schema is the newest, 4 if `db upgrade` has something to do.

    Example: outboxctl db check || outboxctl db upgrade
    """
    before, head = _revisions(common)
    newest, behind = f"at revision {head}, the newest", f"at {before or 'none'}, behind {head}"
    text = newest if before == head else f"{behind}: run `outboxctl db upgrade`"
    report = {"current": before, "head": head, "behind": before != head}
    rendering.show(report, lambda: [text], json=common.json)
    if before != head:
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def sql() -> None:
    """Print the upgrade as SQL, to review or to run by hand on a database without it.

    Example: outboxctl db sql | less
    """
    from outboxctl.core.schema.migrations import upgrade_sql

    typer.echo(upgrade_sql())


@app.command()
def trigger(
    table: Annotated[str, typer.Argument(help="The table, optionally with its schema.")] = "search_index",
    id_column: Annotated[str, typer.Option(help="Column of the entity's UUID.")] = "entity_id",
    version_column: Annotated[str, typer.Option(help="Column of the row's version.")] = "event_version",
    type_column: Annotated[str, typer.Option(help="Column of the entity's type.")] = "",
    entity_type: Annotated[str, typer.Option(help="Or one type for all rows.")] = "",
    schema: Annotated[str, typer.Option(help="Where the outbox is.")] = "public",
) -> None:
    """Print SQL of a trigger that writes an outbox event for every change of a table.

    The worker reads search_index: any other table must feed it under the same type and id in the
    same transaction, or its events find no source row and delete documents.

    Example: outboxctl db trigger search_index --type-column entity_type > trigger.sql
    """
    from outboxctl.core.schema.trigger import trigger_sql

    columns = {"id_column": id_column, "version_column": version_column, "type_column": type_column}
    typer.echo(trigger_sql(table, **columns, entity_type=entity_type, schema=schema))


@app.command()
def roles(
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL; nothing is run.")] = False,
    prefix: Annotated[str, typer.Option("--prefix", help="What the roles' names begin with.")] = "outbox_",
    schema: Annotated[str, typer.Option("--schema", help="Where the tables are.")] = "public",
    json: Json = False,
) -> None:
    """Show what a worker, an operator, a viewer and a producer may do; with --sql, the SQL that makes it so.

    Example: outboxctl db roles --sql | psql -v ON_ERROR_STOP=1 service=owner
    """
    from outboxctl.core.schema.roles import REVOKED, RIGHTS, roles_sql

    prefix, schema = parse.words("--prefix", prefix, 63), parse.words("--schema", schema, 63)
    if sql:
        typer.echo(roles_sql(prefix, schema))
        return
    rows = [(prefix + r.role, r.verbs, r.table, ", ".join(r.columns) or "all") for r in RIGHTS]
    granted = rendering.table("Rights", ("role", "may", "table", "columns"), rows, longest=2_000, widest=44)
    revoked = rendering.table("Revoked before that", ("from", "what", "on"), REVOKED)
    report = {
        "rights": [asdict(right) for right in RIGHTS],
        "revoked": [{"from": whom, "verbs": verbs, "on": on} for whom, verbs, on in REVOKED],
    }
    rendering.show(report, lambda: [granted, revoked], json=json)


def _revisions(common: DatabaseOptions) -> tuple[str | None, str]:
    """The database's revision, and the newest."""
    from outboxctl.core.schema import migrations
    from outboxctl.core.schema.names import HEAD

    with database(common.settings()) as db, db.begin() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        revision = migrations.current(connection)
        migrations.check_known(revision, db.name)
        return revision, HEAD
