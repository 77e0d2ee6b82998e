"""`db`: the schema."""

from typing import Annotated

import typer

from outboxctl.cli.closed_pipe import tolerate_closed_pipe
from outboxctl.cli.db import downgrade, mark, notify
from outboxctl.cli.groups import group
from outboxctl.cli.guards import Yes, confirm, refuse_if_read_only
from outboxctl.cli.options import DatabaseUrl, Json, Wait, database, print_progress, settings
from outboxctl.domain.errors import ExitCode

app = group("The schema: migrate, inspect, print.")
app.add_typer(notify.app, name="notify")
app.command("downgrade")(downgrade.downgrade)
app.command("mark")(mark.mark)


@app.command()
def upgrade(
    yes: Yes = False, wait: Wait = 60.0, database_url: DatabaseUrl = None, json: Json = False
) -> None:
    """Create the tables, or adopt the ones that are there: adds what is missing, drops nothing.

    Beside running workers and writers: a lock that is not had in half a second is tried for again.
    With OUTBOX_ENV set, marks the database as that environment, once.

    Example: outboxctl db upgrade
    """
    from outboxctl.cli import rendering
    from outboxctl.core.schema.migrations import upgrade as run

    given = settings(database_url=database_url)
    refuse_if_read_only(given, "migrate the schema")
    with database(given) as db:
        confirm(given, db, "migrate the schema", yes=yes)
        done = run(db, given.environment, patience=wait, report=print_progress)
    if json:
        rendering.emit_json(done)
        return
    out = rendering.console()
    out.print(f"Schema at revision {done.after} (was {done.before or 'none'}) in {db.name}.")
    lines = [f"  added {item}" for item in done.added] + [f"  changed {item}" for item in done.changed]
    out.print("\n".join(lines) or "  nothing to add")
    if done.environment:
        out.print(f"Environment marker: {done.environment}")


@app.command()
def current(database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Print the database's revision.

    Example: outboxctl db current
    """
    from outboxctl.cli import rendering

    before, head = _revisions(database_url)
    if json:
        rendering.emit_json({"current": before, "head": head})
    else:
        typer.echo(before or "none")


@app.command()
def check(database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Exit 0 if the schema is the newest, 4 if `db upgrade` has something to do.

    Example: outboxctl db check || outboxctl db upgrade
    """
    from outboxctl.cli import rendering

    before, head = _revisions(database_url)
    newest, behind = f"at revision {head}, the newest", f"at {before or 'none'}, behind {head}"
    with tolerate_closed_pipe():
        if json:
            rendering.emit_json({"current": before, "head": head, "behind": before != head})
        else:
            typer.echo(newest if before == head else f"{behind}: run `outboxctl db upgrade`")
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

    typer.echo(
        trigger_sql(
            table,
            id_column=id_column,
            version_column=version_column,
            type_column=type_column,
            entity_type=entity_type,
            schema=schema,
        )
    )


@app.command()
def roles(
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL; nothing is run.")] = False,
    prefix: Annotated[str, typer.Option("--prefix", help="What the roles' names begin with.")] = "outbox_",
    schema: Annotated[str, typer.Option("--schema", help="Where the tables are.")] = "public",
    json: Json = False,
) -> None:
    """Show what a worker, an operator, a viewer and a producer may do; with --sql, the SQL that makes it so.

    Example: outboxctl db roles --sql | psql -v ON_ERROR_STOP=1 "${DATABASE_URL/+psycopg/}"
    """
    from dataclasses import asdict

    from outboxctl.cli import parse, rendering
    from outboxctl.core.schema.roles import RIGHTS, roles_sql

    prefix, schema = parse.words("--prefix", prefix, 63), parse.words("--schema", schema, 63)
    if sql:
        typer.echo(roles_sql(prefix, schema))
    elif json:
        rendering.emit_json({"rights": [asdict(right) for right in RIGHTS]})
    else:
        rows = [(prefix + r.role, r.verbs, r.table, ", ".join(r.columns) or "all") for r in RIGHTS]
        rendering.console().print(rendering.table("Rights", ("role", "may", "table", "columns"), rows))


def _revisions(database_url: str | None) -> tuple[str | None, str]:
    from outboxctl.core.schema import migrations

    with database(settings(database_url=database_url)) as db, db.begin() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        found = migrations.current(connection)
        migrations.check_known(found, db.name)
        return found, migrations.head()
