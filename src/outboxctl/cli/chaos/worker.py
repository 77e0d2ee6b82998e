"""`chaos worker`: real workers of this machine killed, paused and resumed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli.chaos.flags import For, Sure, seconds
from outboxctl.cli.groups import group
from outboxctl.cli.options import DatabaseUrl, Json, settings

if TYPE_CHECKING:
    from outboxctl.drills.faults.workers import VerifiedProcess
    from outboxctl.settings import Settings

app = group("Kill, pause and resume workers of this machine.")
WorkerId = Annotated[
    str | None, typer.Option("--id", help="The worker's name (OUTBOX_WORKER_ID).", show_default=False)
]
Pid = Annotated[int | None, typer.Option("--pid", min=2, help="Its process.", show_default=False)]
Every = Annotated[bool, typer.Option("--all", help="All workers of this machine, or of that name.")]


@app.command()
def kill(
    worker_id: WorkerId = None,
    pid: Pid = None,
    every: Every = False,
    database_url: DatabaseUrl = None,
    sure: Sure = False,
    json: Json = False,
) -> None:
    """Kill with SIGKILL: no word, no release; what it held comes back when its leases end.

    Only a process that is proved to be a worker of this database is touched.

    Example: outboxctl chaos worker kill --id w1
    """
    from outboxctl.cli.chaos.ledger import opened
    from outboxctl.drills.faults import workers

    given = settings(database_url=database_url)
    chosen = _chosen(given, "kill", {"worker_id": worker_id, "pid": pid, "every": every}, sure=sure)
    for each in chosen:
        workers.kill(opened(given), each)
    _show("killed", chosen, json=json)


@app.command()
def pause(
    worker_id: WorkerId = None,
    pid: Pid = None,
    every: Every = False,
    lasts: For = None,
    database_url: DatabaseUrl = None,
    sure: Sure = False,
    json: Json = False,
) -> None:
    """Pause with SIGSTOP: it holds what it has claimed and does nothing, and wakes up as a zombie.

    Example: outboxctl chaos worker pause --for 30s
    """
    from outboxctl.cli.chaos.hold import cause
    from outboxctl.drills.faults import workers

    given, held = settings(database_url=database_url), seconds(lasts)
    chosen = _chosen(given, "pause", {"worker_id": worker_id, "pid": pid, "every": every}, sure=sure)
    cause(given, [workers.pause(each) for each in chosen], held, json=json)


@app.command()
def resume(
    worker_id: WorkerId = None,
    pid: Pid = None,
    every: Every = False,
    database_url: DatabaseUrl = None,
    sure: Sure = False,
    json: Json = False,
) -> None:
    """Let paused workers go on.

    Example: outboxctl chaos worker resume --all
    """
    from outboxctl.cli.chaos.ledger import opened
    from outboxctl.drills.faults import workers

    given = settings(database_url=database_url)
    chosen = _chosen(given, "resume", {"worker_id": worker_id, "pid": pid, "every": every}, sure=sure)
    for each in chosen:
        workers.resume(opened(given), each)
    _show("resumed", chosen, json=json)


def _chosen(given: "Settings", verb: str, choice: dict[str, Any], *, sure: bool) -> "list[VerifiedProcess]":
    """The proved workers of this choice. UsageError where there are none, or it is not to be done here."""
    from outboxctl.cli.options import checked_database
    from outboxctl.core.stats import workers as rows
    from outboxctl.drills.faults import workers
    from outboxctl.drills.faults.gate import allow

    allow(given, f"{verb} workers", sure=sure)
    with checked_database(given, connections=1) as db, db.begin() as connection:
        seen, now = rows.all_workers(connection) or [], rows.clock(connection)
    return workers.chosen(seen, now, **choice)


def _show(verb: str, chosen: "list[VerifiedProcess]", *, json: bool) -> None:
    from outboxctl.cli import rendering

    if json:
        listed = [{"worker_id": each.row.worker_id, "pid": each.row.pid} for each in chosen]
        rendering.emit_json({verb: listed})
    else:
        typer.echo("\n".join(f"{verb} {each.name}" for each in chosen))
