"""`chaos list` and `chaos undo`: which faults are under way, and an end to them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli.options import Json, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outboxctl.drills.faults.records import Fault


def list_faults(json: Json = False) -> None:
    """List the faults under way, and who holds them.

    Example: outboxctl chaos list
    """
    from outboxctl.cli import rendering
    from outboxctl.drills.faults import records

    faults = [_row(each) for each in records.load(records.folder())]
    if json:
        rendering.emit_json({"faults": faults})
    elif faults:
        columns = ("id", "what", "since", "until", "held by")
        rows = [[row[name.replace(" ", "_")] for name in columns] for row in faults]
        rendering.console().print(rendering.table("Faults under way", columns, rows))
    else:
        typer.echo("no faults under way")


def undo(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="From `chaos list`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Do nothing, only cross them out: you have mended it by hand.")
    ] = False,
    json: Json = False,
) -> None:
    """Undo faults, whoever began them; needs no permission. Those that cannot be undone stay listed.

    Example: outboxctl chaos undo --all
    """
    from outboxctl.cli import rendering
    from outboxctl.cli.chaos.ledger import opened
    from outboxctl.cli.closed_pipe import tolerate_closed_pipe
    from outboxctl.domain.errors import OutboxctlError

    ledger = opened(settings())
    wanted = _chosen(ledger.faults(), ids or [], every=every)
    done, failed = [], None
    for fault in wanted:
        try:
            if forget:
                ledger.forget(fault)
            if forget or ledger.undo(fault):
                done.append(fault)
        except OutboxctlError as error:  # the others shall not suffer
            failed = failed or error
    lines = [f"undone: {rendering.cell(each.what, 400).plain}" for each in done]
    with tolerate_closed_pipe():
        if json:
            rendering.emit_json({"undone": [_row(each) for each in done]})
        else:
            typer.echo("\n".join(lines or ["nothing to undo"]))
    if failed:
        raise failed


def _chosen(known: "Sequence[Fault]", ids: "Sequence[str]", *, every: bool) -> "Sequence[Fault]":
    from outboxctl.cli import parse
    from outboxctl.domain.errors import UsageError

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
    }
