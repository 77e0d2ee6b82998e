"""`db`: the schema, its triggers, NOTIFY and the environment marker."""

from dataclasses import asdict
from typing import Annotated, Literal, get_args

import typer

from outboxctl.cli import guards, parse, rendering
from outboxctl.cli.guards import acting, as_owner, database, reading
from outboxctl.cli.options import By, Json, LockWait, Reason, Yes, audited, group, print_progress, settings
from outboxctl.domain.errors import ExitCode

app = group("The schema: migrate, inspect, print.")


@app.command()
def upgrade(wait: LockWait = 60.0, yes: Yes = False, json: Json = False) -> None:
    """Create the tables, or adopt the ones that are there: adds what is missing, drops nothing.

    Beside running workers and writers: a lock that is not had in half a second is tried for again.
    With OUTBOX_ENV set, marks the database as that environment, once.

    Example: outboxctl db upgrade
    """
    from outboxctl.core.schema.migrations import upgrade as run

    configured = settings()
    with acting(configured, "migrate the schema", yes=yes, checked=False) as db, as_owner():
        done = run(db, configured.environment, patience=wait, report=print_progress)
    lines = [f"Schema at revision {done.after} (was {done.before or 'none'}) in {db.name}."]
    changes = [f"  added {item}" for item in done.added] + [f"  changed {item}" for item in done.changed]
    lines += changes or ["  nothing to add"]
    lines += [f"Environment marker: {done.environment}"] if done.environment else []
    lines += [f"Triggers of no projection call {each}: run `outboxctl doctor`." for each in done.orphans]
    rendering.show(asdict(done), lambda: lines, json=json)


@app.command()
def drop(wait: LockWait = 60.0, yes: Yes = False, json: Json = False) -> None:
    """Drop search_index and search_outbox_events with their rows, and all else that `db upgrade` made.

    These two also where your application made them. Refused while a projection is in force. Nothing is
    dropped where something of yours, such as a view, depends on it. Indexes stay.

    Example: outboxctl db drop --yes
    """
    from outboxctl.core.schema.lock_wait import with_lock_retries
    from outboxctl.core.schema.removal import remove

    configured, what = settings(), "drop the outbox, search_index and the audit trail with all their rows"
    guards.refuse_if_read_only(configured, what)
    with guards.checked_database(configured) as db, as_owner():
        guards.confirm(configured, db, what, yes=yes, always=True)
        dropped = with_lock_retries(db, remove, patience=wait, report=print_progress)
    rendering.show({"dropped": dropped}, lambda: dropped, json=json)


@app.command()
def current(json: Json = False) -> None:
    """Print the database's revision.

    Example: outboxctl db current
    """
    before, head = _revisions()
    rendering.show({"current": before, "head": head}, lambda: [before or "none"], json=json)


@app.command()
def check(json: Json = False) -> None:
    """Exit 0 if the schema is the newest, 4 if `db upgrade` has something to do.

    Example: outboxctl db check || outboxctl db upgrade
    """
    before, head = _revisions()
    newest, behind = f"at revision {head}, the newest", f"at {before or 'none'}, behind {head}"
    text = newest if before == head else f"{behind}: run `outboxctl db upgrade`"
    report = {"current": before, "head": head, "behind": before != head}
    rendering.show(report, lambda: [text], json=json)
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
def trigger(schema: Annotated[str, typer.Option(help="Where the outbox is.")] = "public") -> None:
    """Print SQL of a trigger that writes an outbox event for every change of search_index.

    For tables of your own there are projections: they make triggers by themselves.

    Example: outboxctl db trigger > trigger.sql
    """
    from outboxctl.core.schema.trigger import trigger_sql

    typer.echo(trigger_sql(schema))


@app.command()
def notify(
    to: Annotated[
        Literal["on", "off", "status"], typer.Argument(metavar="[on|off|status]", help="Default: status.")
    ] = "status",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Have every INSERT into the outbox wake the workers (on), let them poll (off), or show which it is.

    On: a trigger that fires once a statement. Its cost: NOTIFY takes a lock at commit that all notifying
    transactions of the server queue for, and PREPARE TRANSACTION refuses what has notified. Workers
    go on polling as well, for what is put back to pending.

    Example: outboxctl db notify on

    Example: outboxctl db notify status --json
    """
    from outboxctl.core.schema import notify as trigger

    if to == "status":
        with reading(settings()) as connection:
            now = trigger.status(connection)
    else:
        with acting(settings(), f"switch NOTIFY {to}", yes=yes) as db, as_owner(), db.begin() as connection:
            now = trigger.switch(connection, on=to == "on")
    state = "notify" if now.on else "do not notify"
    text = f"Inserts {state} (channel {now.channel}, {now.listening} listening)."
    rendering.show(asdict(now), lambda: [text], json=json)


@app.command()
def mark(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="dev, test, sandbox or prod.")],
    by: By,
    reason: Reason,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Mark the database as another environment, with an audit row.

    Every command compares the marker with OUTBOX_ENV (or WORDLOOM_ENV), and faults are injected in dev,
    test and sandbox alone. For one that is marked prod it asks first. Nothing changes where the marker
    is the same already.

    Example: outboxctl db mark test --by alice --reason "the lab document runs here"
    """
    from outboxctl.core.schema import marker
    from outboxctl.settings.connections import Environment

    after = parse.one_of("ENV", environment, get_args(Environment), "environment")
    # Whatever OUTBOX_ENV says: a contradiction is what this command is called for.
    opened = acting(settings(), f"mark the database {after}", yes=yes, checked=False)
    with opened as db, as_owner(), db.begin() as connection:
        before, audit_id = marker.change(connection, after, **audited(by, reason))
    lines = [f"The database is marked {after} (was {before or 'nothing'}).", f"Audit {audit_id}"]
    if audit_id is None:
        lines = [f"The database is marked {after} already; nothing was changed."]
    report = {"before": before, "after": after, "audit_id": audit_id}
    rendering.show(report, lambda: lines, json=json)


def _revisions() -> tuple[str | None, str]:
    from outboxctl.core.schema import marker, migrations
    from outboxctl.core.schema.names import HEAD

    with database(settings()) as db, db.begin() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        revision = marker.current(connection)
        migrations.check_known(revision, db.name)
        return revision, HEAD
