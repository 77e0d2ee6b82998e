"""`chaos`: the group, and its commands that are no groups: block, unblock, list, undo."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse, rendering
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
from outboxctl.domain.errors import OutboxctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.drills.faults.records import Fault

app = group("Cause faults on purpose, on systems that are not production.")
app.add_typer(es.app, name="es")
app.add_typer(worker.app, name="worker")
app.add_typer(db.app, name="db")
app.command("proxy")(proxy.proxy)


@dataclass(frozen=True, kw_only=True)
class IndexFaultOptions(FaultOptions):
    """Of a command that blocks or unblocks the index."""

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


@app.command()
def unblock(
    common: IndexFaultOptions,
    force: Annotated[
        bool, typer.Option("--force", help="Lift a block that `chaos block` did not set, too.")
    ] = False,
) -> None:
    """Lift the write blocks that `chaos block` set; other blocks stay.

    Example: outboxctl chaos unblock
    """
    from outboxctl.drills.faults import block as blocks

    settings = common.allowed("lift a block of the index")
    index, undone = blocks.unblock(opened(settings), settings, force=force)
    report = {"index": index, "undone": [each.id for each in undone]}
    rendering.show(report, lambda: [f"{index} takes writes"], json=common.json)


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
    ended = [row["id"] for row in faults if row["left_over"]]
    hint = f"whoever began them has ended: `outboxctl chaos undo {' '.join(ended)}` undoes them"
    lines = [table, *([rendering.Unbroken(hint)] if ended else [])]
    rendering.show({"faults": faults}, lambda: lines, json=json)


@app.command()
def undo(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="From `chaos list`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Undo nothing, only delete the record: you have undone it by hand."),
    ] = False,
    json: Json = False,
) -> None:
    """Undo faults, whoever began them; needs no permission. Those that cannot be undone stay listed.

    With --all the processes and services of runs of labs that were killed are ended as well.

    Example: outboxctl chaos undo --all
    """
    if every and not forget:
        leftovers.end_runs()
    ledger = opened(settings())
    undone, failed = [], None
    for fault in _chosen(ledger.faults(), ids or [], every=every):
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


def _chosen(known: "Sequence[Fault]", ids: "Sequence[str]", *, every: bool) -> "Sequence[Fault]":
    if every == bool(ids):
        raise UsageError("name faults, or say --all", hint="`outboxctl chaos list` shows them")
    if not every and not known:
        raise UsageError("no faults are under way")
    wanted = {parse.one_of("ID", each, [fault.id for fault in known], "fault") for each in ids}
    return [fault for fault in known if every or fault.id in wanted]


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
