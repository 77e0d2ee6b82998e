"""`chaos`: the search engine stopped, workers killed, and the end of every fault."""

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import rendering
from outboxctl.cli.chaos.ledger import opened, say
from outboxctl.cli.chaos.proxy import proxy
from outboxctl.cli.guards import checked_database
from outboxctl.cli.lab import leftovers
from outboxctl.cli.options import DryRun, ElasticUrl, FaultDuration, FaultOptions, Json, group, settings
from outboxctl.domain.errors import OutboxctlError, UsageError

if TYPE_CHECKING:
    from outboxctl.drills.faults.engine import SinkControl
    from outboxctl.drills.faults.records import Fault
    from outboxctl.settings import Settings

app = group("Cause faults on purpose, on systems that are not production.")
es = group("Stop the search engine, and start it again.")
app.add_typer(es, name="es")
app.command("proxy")(proxy)
COLUMNS = ("id", "what", "since", "held by")


@dataclass(frozen=True, kw_only=True)
class EngineOptions(FaultOptions):
    """Where the search engine is, and what stops and starts another one than that of `services up`."""

    stop_command: Annotated[str | None, typer.Option(help="This stops it.")] = None
    start_command: Annotated[str | None, typer.Option(help="This starts it again.")] = None
    elastic_url: ElasticUrl = None

    def control(self, verb: str) -> "tuple[Settings, str, SinkControl]":
        """Settings, URL of the sink, and the commands, or the services.

        Raises UsageError where `verb` is not allowed, and for one command without the other.
        """
        from outboxctl.drills.faults import engine, sink

        settings = self.allowed(f"{verb} the sink")
        url = sink.only(settings)
        if self.stop_command and self.start_command:
            return settings, url, engine.Commands(self.stop_command, self.start_command)
        if self.stop_command or self.start_command:
            raise UsageError("--stop-command and --start-command go together")
        return settings, url, engine.own(url)


@es.command()
def stop(
    options: EngineOptions,
    pause: Annotated[
        bool, typer.Option("--pause", help="Pause it (SIGSTOP): it takes connections and answers nothing.")
    ] = False,
    duration: FaultDuration = None,
) -> None:
    """Stop the search engine: connections are refused until it is started. By default that of `services up`.

    Example: outboxctl chaos es stop --for 30s
    """
    from outboxctl.cli.chaos.hold import cause
    from outboxctl.drills.faults import engine

    settings, url, control = options.control("pause" if pause else "stop")
    planned = engine.pause(control, url) if pause else engine.stop(control, url, say)
    cause(settings, [planned], duration, json=options.json)


@es.command()
def start(options: EngineOptions) -> None:
    """Start the search engine that was stopped, and wait until it answers.

    Example: outboxctl chaos es start
    """
    from outboxctl.drills.faults import engine

    settings, url, control = options.control("start")
    began = monotonic()
    undone = engine.start(opened(settings), control, url, say)
    report = {"sink": url, "answers": True, "undone": [each.id for each in undone]}
    text = f"{url} answers, after {rendering.age(monotonic() - began)}"
    rendering.show(report, lambda: [text], json=options.json)


@app.command()
def kill(
    options: FaultOptions,
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
) -> None:
    """Kill workers of this machine (SIGKILL): their events are reclaimed once their leases have ended.

    Only a process that is proved to be a worker of this database is touched. --for is for --pause.

    Example: outboxctl chaos kill --id w1
    """
    from outboxctl.cli.chaos.hold import cause
    from outboxctl.core.stats import workers as rows
    from outboxctl.drills.faults import workers

    if duration is not None and not pause:
        raise UsageError("--for does not go with a kill", hint="it ends a --pause")
    settings = options.allowed("pause workers" if pause else "kill workers")
    with checked_database(settings) as db, db.begin() as connection:
        registered, now = rows.all_workers(connection), rows.clock(connection)
    chosen = workers.chosen(registered, now, worker_id=worker_id, every=every)
    if pause:
        cause(settings, [workers.pause(each) for each in chosen], duration, json=options.json)
        return
    for each in chosen:
        workers.kill(opened(settings), each)
    killed = [{"worker_id": each.row.worker_id, "pid": each.row.pid} for each in chosen]
    lines = [f"killed {each.name}" for each in chosen]
    rendering.show({"killed": killed}, lambda: lines, json=options.json)


@app.command()
def undo(dry_run: DryRun = False, json: Json = False) -> None:
    """Undo every fault, whoever began it; needs no permission. Those that cannot be undone stay.

    With --dry-run list them. The processes and services of runs of labs that were killed are ended as well.

    Example: outboxctl chaos undo
    """
    from outboxctl.drills.faults import records

    if dry_run:
        _show({"faults": [_row(each) for each in records.load(records.folder())]}, json=json)
        return
    leftovers.end_runs()
    ledger = opened(settings())
    undone, failed = [], None
    for fault in ledger.faults():
        try:
            if ledger.undo(fault):
                undone.append(_row(fault))
        except OutboxctlError as error:  # the others are undone all the same
            failed = failed or error
    _show({"undone": undone}, json=json)
    if failed:
        raise failed


def _show(report: dict[str, list[dict[str, Any]]], *, json: bool) -> None:
    """A table of the faults under way, or undone."""
    ((name, faults),) = report.items()
    title = "Undone" if name == "undone" else "Faults under way"
    cells = [[row[column.replace(" ", "_")] for column in COLUMNS] for row in faults]
    table = rendering.table(title, COLUMNS, cells) if faults else "no faults under way"
    rendering.show(report, lambda: [table], json=json)


def _row(fault: "Fault") -> dict[str, Any]:
    holder = None if fault.pid is None else f"pid {fault.pid} on {fault.host}"
    names = ("id", "kind", "what", "since", "left_over")
    return {name: getattr(fault, name) for name in names} | {"held_by": holder}
