"""`chaos`: the group, and its commands that are no groups: block, list, undo."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import rendering
from outboxctl.cli.chaos import db, es, proxy, worker
from outboxctl.cli.chaos.ledger import opened
from outboxctl.cli.lab import leftovers
from outboxctl.cli.options import (
    ElasticIndex,
    ElasticUrl,
    FaultDuration,
    FaultOptions,
    Json,
    fault_seconds,
    group,
    settings,
)
from outboxctl.domain.errors import OutboxctlError

if TYPE_CHECKING:
    from outboxctl.drills.faults.records import Fault

app = group("Cause faults on purpose, on systems that are not production.")
app.add_typer(es.app, name="es")
app.add_typer(worker.app, name="worker")
app.add_typer(db.app, name="db")
app.command("proxy")(proxy.proxy)


@dataclass(frozen=True, kw_only=True)
class IndexFaultOptions(FaultOptions):
    """Of a command that blocks the index."""

    elastic_url: ElasticUrl = None
    elastic_index: ElasticIndex = None


@app.command()
def block(
    common: IndexFaultOptions,
    duration: FaultDuration = None,
    disk_full: Annotated[
        bool, typer.Option("--disk-full", help="By the block that the engine sets where a disk is full.")
    ] = False,
) -> None:
    """Block writes to the index (`index.blocks.write`): each delivery ends in `write_blocked`.

    With --disk-full by `index.blocks.read_only_allow_delete`: each ends in `disk_full`. An engine that
    watches its disks lifts that block by itself at its next look at them, within 30 s by default.

    Example: outboxctl chaos block --for 30s
    """
    from outboxctl.cli.chaos.hold import cause
    from outboxctl.drills.faults import block as blocks
    from outboxctl.sink.index.block import DISK, WRITE

    seconds = fault_seconds(duration)
    settings = common.allowed("block the index")
    cause(settings, [blocks.block(settings, DISK if disk_full else WRITE)], seconds, json=common.json)


@app.command("list")
def list_faults(json: Json = False) -> None:
    """List the faults under way, and the processes that hold them.

    Example: outboxctl chaos list
    """
    from outboxctl.drills.faults import records

    faults = [_row(each) for each in records.load(records.folder())]
    columns = ("id", "what", "since", "until", "held by")
    cells = [[row[name.replace(" ", "_")] for name in columns] for row in faults]
    table = rendering.table("Faults under way", columns, cells) if faults else "no faults under way"
    lines = [table, *(["`outboxctl chaos undo` undoes them"] if faults else [])]
    rendering.show({"faults": faults}, lambda: lines, json=json)


@app.command()
def undo(
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Undo nothing, only delete the records: you have undone it by hand."),
    ] = False,
    json: Json = False,
) -> None:
    """Undo every fault, whoever began it; needs no permission. Those that cannot be undone stay listed.

    The processes and services of runs of labs that were killed are ended as well.

    Example: outboxctl chaos undo
    """
    if not forget:
        leftovers.end_runs()
    ledger = opened(settings())
    undone, failed = [], None
    for fault in ledger.faults():
        try:
            if forget:
                ledger.forget(fault)
            if forget or ledger.undo(fault):
                undone.append(fault)
        except OutboxctlError as error:  # the others are undone all the same
            failed = failed or error
    lines = [f"undone: {rendering.cell(each.what, 400).plain}" for each in undone] or ["nothing to undo"]
    rendering.show({"undone": [_row(each) for each in undone]}, lambda: lines, json=json)
    if failed:
        raise failed


def _row(fault: "Fault") -> dict[str, Any]:
    holder = None if fault.pid is None else f"pid {fault.pid} on {fault.host}"
    return {
        "id": fault.id,
        "kind": fault.kind,
        "what": fault.what,
        "since": fault.since,
        "until": fault.until,
        "held_by": holder,
        "left_over": fault.left_over,
    }
