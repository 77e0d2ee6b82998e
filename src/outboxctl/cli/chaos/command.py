"""`chaos`: the search engine stopped, workers killed, and the end of every fault."""

from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.chaos.ledger import cause, opened, say, tell, undo_leftovers
from outboxctl.cli.chaos.proxy import proxy
from outboxctl.cli.guards import checked_database
from outboxctl.cli.options import DryRun, FaultDuration, NotProduction, group, settings
from outboxctl.domain.errors import OutboxctlError, UsageError

if TYPE_CHECKING:
    from outboxctl.drills.faults.engine import SinkControl
    from outboxctl.settings import Settings

app = group("Cause faults on purpose, on systems that are not production.")
es = group("Stop the search engine, and start it again.")
app.add_typer(es, name="es")
app.command("proxy")(proxy)
StopCommand = Annotated[str | None, typer.Option(help="This stops it.")]
StartCommand = Annotated[str | None, typer.Option(help="This starts it again.")]


@es.command()
def stop(
    pause: Annotated[
        bool, typer.Option("--pause", help="Pause it (SIGSTOP): it takes connections and answers nothing.")
    ] = False,
    duration: FaultDuration = None,
    stop_command: StopCommand = None,
    start_command: StartCommand = None,
    sure: NotProduction = False,
) -> None:
    """Stop the search engine: connections are refused until it is started. By default that of `services up`.

    Example: outboxctl chaos es stop --for 30s
    """
    from outboxctl.drills.faults import engine

    configured, url, control = _control("pause" if pause else "stop", stop_command, start_command, sure=sure)
    planned = engine.pause(control, url) if pause else engine.stop(control, url, say)
    cause(configured, [planned], duration)


@es.command()
def start(
    stop_command: StopCommand = None,
    start_command: StartCommand = None,
    sure: NotProduction = False,
) -> None:
    """Start the search engine that was stopped, and wait until it answers.

    Example: outboxctl chaos es start
    """
    from outboxctl.drills.faults.ledger import start_sink

    configured, url, control = _control("start", stop_command, start_command, sure=sure)
    began = monotonic()
    start_sink(opened(configured), control, url, say)
    tell(f"{url} answers, after {rendering.age(monotonic() - began)}")


@app.command()
def kill(
    worker_id: Annotated[
        str | None, typer.Option("--id", help="The worker's name (OUTBOX_WORKER_ID).")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All workers of this machine, or of that name.")
    ] = False,
    pause: Annotated[
        bool, typer.Option("--pause", help="Pause them (SIGSTOP): they hold their claims and do nothing.")
    ] = False,
    duration: FaultDuration = None,
    sure: NotProduction = False,
) -> None:
    """Kill workers of this machine (SIGKILL): their events are reclaimed once their leases have ended.

    Only a process that is proved to be a worker of this database is touched. --for is for --pause.

    Example: outboxctl chaos kill --id w1
    """
    from outboxctl.core.stats import workers as rows
    from outboxctl.drills.faults import workers
    from outboxctl.drills.faults.ledger import kill_worker

    if duration is not None and not pause:
        raise UsageError("--for does not go with a kill", hint="it ends a --pause")
    configured = _allowed("pause workers" if pause else "kill workers", sure=sure)
    with checked_database(configured) as db, db.begin() as connection:
        registered, now = rows.all_workers(connection), rows.clock(connection)
    chosen = workers.chosen(registered, now, worker_id=worker_id, every=every)
    if pause:
        cause(configured, [workers.pause(each) for each in chosen], duration)
        return
    for each in chosen:
        kill_worker(opened(configured), each)
        tell(f"killed {each.name}")


@app.command()
def undo(dry_run: DryRun = False) -> None:
    """Undo every fault, whoever began it; needs no permission. Those that cannot be undone stay.

    With --dry-run list them. The processes and services of runs of labs that were killed are ended as well.

    Example: outboxctl chaos undo
    """
    from outboxctl.drills.faults import records
    from outboxctl.drills.scratch.folder import sweep

    faults, failed = records.load(records.folder()), None
    if not faults:
        tell("no faults under way")
    if dry_run:
        for each in faults:
            holder = "" if each.pid is None else f", held by pid {each.pid} on {each.host}"
            tell(f"{each.id}  {each.what}, since {each.since}{holder}")
        return
    sweep("lab", say)
    ledger = opened(settings())
    for fault in faults:
        try:
            if ledger.undo(fault):
                tell(f"undone: {fault.what}")
        except OutboxctlError as error:  # the others are undone all the same
            failed = failed or error
    if failed:
        raise failed


def _allowed(what: str, *, sure: bool) -> "Settings":
    """The settings, once what a killed command left is undone. UsageError where `what` is not allowed."""
    from outboxctl.drills.faults.gate import allow

    configured = settings()
    allow(configured, what, sure=sure)
    undo_leftovers(lambda: configured)
    return configured


def _control(
    verb: str, stop_command: str | None, start_command: str | None, *, sure: bool
) -> "tuple[Settings, str, SinkControl]":
    """Settings, URL of the engine, and what stops and starts it. UsageError where `verb` is not allowed."""
    from outboxctl.drills.faults import engine

    configured = _allowed(f"{verb} the sink", sure=sure)
    url = engine.sink_url(configured)
    if stop_command and start_command:
        return configured, url, engine.SinkControl(stop_command=stop_command, start_command=start_command)
    if stop_command or start_command:
        raise UsageError("--stop-command and --start-command go together")
    return configured, url, engine.own(url)
