"""`chaos`: the search engine stopped, workers killed, and the end of every fault."""

from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.chaos.ledger import cause, opened, say, undo_leftovers
from outboxctl.cli.chaos.proxy import proxy
from outboxctl.cli.guards import checked_database
from outboxctl.cli.options import DryRun, FaultDuration, Json, NotProduction, group, settings
from outboxctl.domain.errors import OutboxctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.drills.faults.engine import SinkControl
    from outboxctl.drills.faults.records import Fault
    from outboxctl.settings import Settings

app = group("Cause faults on purpose, on systems that are not production.")
es = group("Stop the search engine, and start it again.")
app.add_typer(es, name="es")
app.command("proxy")(proxy)
COLUMNS = ("id", "what", "since", "held by")


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
    json: Json = False,
) -> None:
    """Stop the search engine: connections are refused until it is started. By default that of `services up`.

    Example: outboxctl chaos es stop --for 30s
    """
    from outboxctl.drills.faults import engine

    configured, url, control = _control("pause" if pause else "stop", stop_command, start_command, sure=sure)
    planned = engine.pause(control, url) if pause else engine.stop(control, url, say)
    cause(configured, [planned], duration, json=json)


@es.command()
def start(
    stop_command: StopCommand = None,
    start_command: StartCommand = None,
    sure: NotProduction = False,
    json: Json = False,
) -> None:
    """Start the search engine that was stopped, and wait until it answers.

    Example: outboxctl chaos es start
    """
    from outboxctl.drills.faults.ledger import start_sink

    configured, url, control = _control("start", stop_command, start_command, sure=sure)
    began = monotonic()
    undone = start_sink(opened(configured), control, url, say)
    report = {"sink": url, "answers": True, "undone": [each.id for each in undone]}
    text = f"{url} answers, after {rendering.age(monotonic() - began)}"
    rendering.show(report, lambda: [text], json=json)


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
    json: Json = False,
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
        cause(configured, [workers.pause(each) for each in chosen], duration, json=json)
        return
    for each in chosen:
        kill_worker(opened(configured), each)
    killed = [{"worker_id": each.row.worker_id, "pid": each.row.pid} for each in chosen]
    lines = [f"killed {each.name}" for each in chosen]
    rendering.show({"killed": killed}, lambda: lines, json=json)


@app.command()
def undo(dry_run: DryRun = False, json: Json = False) -> None:
    """Undo every fault, whoever began it; needs no permission. Those that cannot be undone stay.

    With --dry-run list them. The processes and services of runs of labs that were killed are ended as well.

    Example: outboxctl chaos undo
    """
    from outboxctl.drills.faults import records
    from outboxctl.drills.scratch.folder import sweep

    if dry_run:
        _show("faults", "Faults under way", records.load(records.folder()), json=json)
        return
    sweep("lab", say)
    ledger = opened(settings())
    undone, failed = [], None
    for fault in ledger.faults():
        try:
            if ledger.undo(fault):
                undone.append(fault)
        except OutboxctlError as error:  # the others are undone all the same
            failed = failed or error
    _show("undone", "Undone", undone, json=json)
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


def _show(name: str, title: str, faults: "Sequence[Fault]", *, json: bool) -> None:
    """A table of the faults under way, or undone."""
    names = ("id", "kind", "what", "since", "left_over")
    holders = (None if each.pid is None else f"pid {each.pid} on {each.host}" for each in faults)
    rows = [
        {name: getattr(each, name) for name in names} | {"held_by": holder}
        for each, holder in zip(faults, holders, strict=True)
    ]
    cells = [[row[column.replace(" ", "_")] for column in COLUMNS] for row in rows]
    table = rendering.table(title, COLUMNS, cells) if faults else "no faults under way"
    rendering.show({name: rows}, lambda: [table], json=json)
