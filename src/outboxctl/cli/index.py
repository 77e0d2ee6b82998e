"""`index`: the rebuilds of an index, the ways back from them, and who may do what in the search engine."""

import typer

from outboxctl.cli import guards, index_roles, parse
from outboxctl.cli.options import PipelineOptions, group
from outboxctl.cli.rebuild import view
from outboxctl.cli.rebuild.session import (
    IndexOptions,
    KeepOld,
    Left,
    OfProjection,
    Patience,
    choose,
    session,
)
from outboxctl.domain.errors import ExitCode, UsageError

app = group("The index behind the alias: its rebuilds, the ways back, and who may do what.")
app.command("roles")(index_roles.roles)


@app.command()
def rebuilds(common: PipelineOptions, projection: OfProjection = None) -> None:
    """Show how far a rebuild is, the latest ones, and which old indexes are kept.

    Example: outboxctl index rebuilds --json
    """
    from outboxctl.core.operator import rebuilds

    settings = common.settings()
    with guards.reading(settings) as connection:
        name = choose(settings, projection, connection, Left.ANY).name
        rows = rebuilds.recent(connection, name, limit=20)
        running = rebuilds.runs(connection, name)
    view.status(name, rows, running=running, json=common.json)


@app.command()
def abort(options: IndexOptions) -> None:
    """End an interrupted rebuild: delete its new index. The alias is not touched.

    Example: outboxctl index abort --yes
    """
    from outboxctl.core.operator import rebuilds
    from outboxctl.operations.rebuild.undo import abort as end
    from outboxctl.operations.rebuild.undo import condemned

    with session(options, "abort") as work, work.opened(Left.UNDER_WAY) as (db, client, chosen):
        with db.begin() as connection:
            row = rebuilds.active_rebuild(connection, chosen.name)
        if row is None:
            raise UsageError(f"no rebuild of {chosen.name} is under way")
        deleted = condemned(client, row)
        if not options.dry_run:
            work.confirm(db, f"abort the {row.action} of {chosen.name} (phase {row.phase})")
            with work.tools(db, client, chosen) as tools:
                deleted = end(tools, row, **work.who, gone=chosen.gone)
    view.aborted(row, deleted, dry_run=options.dry_run, json=options.json)


@app.command()
def rollback(options: IndexOptions, keep_old: KeepOld = "24h", patience: Patience = 60.0) -> None:
    """Put the old index behind the alias again, while it is kept; what it missed is sent to it first.

    Example: outboxctl index rollback --by alice --reason "bad analyzer" --yes
    """
    from outboxctl.operations.rebuild.plan import plan_rollback

    grace = parse.duration("--keep-old", keep_old).total_seconds()
    with session(options, "rollback") as work, work.opened() as (db, client, chosen):
        with db.begin() as connection:
            planned = plan_rollback(connection, client, chosen.name, source=chosen.source)
        work.carry_out(db, client, chosen, planned, grace=grace, patience=patience)


@app.command()
def cleanup(options: IndexOptions) -> None:
    """Delete old indexes that were kept long enough.

    Example: outboxctl index cleanup --yes
    """
    from outboxctl.core.operator import rebuilds
    from outboxctl.operations.rebuild.undo import cleanup as delete
    from outboxctl.operations.rebuild.undo import plan_cleanup

    with session(options, "cleanup") as work, work.opened(Left.ANY) as (db, client, chosen):
        with db.begin() as connection:
            if rebuilds.active_rebuild(connection, chosen.name):
                raise UsageError(f"a rebuild of {chosen.name} is under way: finish or abort it first")
            overdue = rebuilds.overdue(connection, chosen.name)
        planned = plan_cleanup(client, overdue)
        names = [str(row.kept_index) for row in planned.delete]
        if (names or planned.gone) and not options.dry_run:
            work.confirm(db, f"delete {', '.join(names) or 'nothing, but forget what is gone'}")
            with work.tools(db, client, chosen) as tools:
                delete(tools, planned, **work.who)
    view.cleaned(chosen.name, names, planned.keep, dry_run=options.dry_run, json=options.json)
    if planned.keep and not options.dry_run:
        raise typer.Exit(ExitCode.FINDINGS)
