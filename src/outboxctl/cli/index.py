"""`index`: the rebuilds of an index, and the ways back from them."""

import typer

from outboxctl.cli import guards, rendering
from outboxctl.cli.options import (
    ByOrLogin,
    DryRun,
    IndexOfProjection,
    Json,
    ReasonOrCommand,
    Yes,
    group,
    settings,
)
from outboxctl.cli.rebuild import view
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.domain.printable import brief

GRACE = 86_400.0  # seconds for which a rollback keeps the index that it leaves
PATIENCE = 60.0  # seconds that the search engine may be unreachable
NONE = "No old index was kept long enough; what {name} leads to is not deleted."
app = group("The index behind the alias: its rebuilds, and the ways back from them.")


@app.command()
def rebuilds(projection: IndexOfProjection = None, json: Json = False) -> None:
    """Show how far a rebuild is, the latest ones, and which old indexes are kept.

    Example: outboxctl index rebuilds --json
    """
    from outboxctl.cli.rebuild.session import choose
    from outboxctl.core.operator import rebuilds

    configured = settings()
    with guards.reading(configured) as connection:
        name = choose(configured, projection, connection, left=True).name
        rows = rebuilds.recent(connection, name, limit=20)
        running = rebuilds.runs(connection, name)
    view.status(name, rows, running=running, json=json)


@app.command()
def abort(
    projection: IndexOfProjection = None,
    by: ByOrLogin = None,
    reason: ReasonOrCommand = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """End an interrupted rebuild: delete its new index. The alias is not touched.

    Example: outboxctl index abort --yes
    """
    from outboxctl.cli.rebuild.session import opened
    from outboxctl.core.operator import rebuilds
    from outboxctl.operations.rebuild import undo

    given = ("abort", projection, by, reason)
    with opened(*given, dry_run=dry_run, yes=yes, left=True) as work:
        name = work.chosen.name
        with work.db.begin() as connection:
            row = rebuilds.active_rebuild(connection, name)
        if row is None:
            raise UsageError(f"no rebuild of {name} is under way")
        deleted = undo.condemned(work.client, row)
        if not dry_run:
            work.confirm(f"abort the {row.action} of {name} (phase {row.phase})")
            with work.tools() as tools:
                deleted = undo.abort(tools, row, **work.who, gone=work.chosen.gone)
    report = {name: getattr(row, name) for name in ("action", "alias", "new_index", "phase")}
    ended = f"the {row.action} of {row.alias}; deleted: {', '.join(deleted) or 'nothing'}"
    text = f"{'Would end' if dry_run else 'Ended'} {ended}. {row.alias} is not touched."
    rendering.show(report | {"deleted": deleted, "dry_run": dry_run}, lambda: [text], json=json)


@app.command()
def rollback(
    projection: IndexOfProjection = None,
    by: ByOrLogin = None,
    reason: ReasonOrCommand = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put the old index behind the alias again, while it is kept; what it missed is sent to it first.

    Example: outboxctl index rollback --by alice --reason "bad analyzer" --yes
    """
    from outboxctl.cli.rebuild.session import opened
    from outboxctl.operations.rebuild.plan import plan_rollback

    with opened("rollback", projection, by, reason, dry_run=dry_run, yes=yes) as work:
        with work.db.begin() as connection:
            planned = plan_rollback(connection, work.client, work.chosen.name, sources=work.chosen.sources)
        code = work.carry_out(planned, grace=GRACE, patience=PATIENCE, dry_run=dry_run, json=json)
    raise typer.Exit(code)


@app.command()
def cleanup(
    projection: IndexOfProjection = None,
    by: ByOrLogin = None,
    reason: ReasonOrCommand = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete old indexes that were kept long enough.

    Example: outboxctl index cleanup --yes
    """
    from outboxctl.cli.rebuild.session import opened
    from outboxctl.core.operator import rebuilds
    from outboxctl.operations.rebuild import undo

    with opened("cleanup", projection, by, reason, dry_run=dry_run, yes=yes, left=True) as work:
        name = work.chosen.name
        with work.db.begin() as connection:
            if rebuilds.active_rebuild(connection, name):
                raise UsageError(f"a rebuild of {name} is under way: finish or abort it first")
            overdue = rebuilds.overdue(connection, name)
        planned = undo.plan_cleanup(work.client, overdue)
        names = [str(row.kept_index) for row in planned.delete]
        if (names or planned.gone) and not dry_run:
            work.confirm(f"delete {', '.join(names) or 'nothing, but forget what is gone'}")
            with work.tools() as tools:
                undo.cleanup(tools, planned, **work.who)
    lines = [f"{'Would delete' if dry_run else 'Deleted'} {', '.join(names)}."] if names else []
    lines += [f"{kept} is left: {brief(why, 400)}." for kept, why in planned.keep.items()]
    report = {"alias": name, "deleted": names, "left": planned.keep, "dry_run": dry_run}
    rendering.show(report, lambda: lines or [NONE.format(name=name)], json=json)
    if planned.keep and not dry_run:
        raise typer.Exit(ExitCode.FINDINGS)
