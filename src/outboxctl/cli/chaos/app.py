"""The group's commands."""

import typer

from outboxctl.cli.chaos import block, db, es, leftovers, list_and_undo, proxy, worker
from outboxctl.cli.groups import group

app = group("Cause faults on purpose, on systems that are not production.")


@app.callback()
def _first(context: typer.Context) -> None:
    """What was left behind is undone, unless it is for `undo` to say what becomes of it."""
    if context.invoked_subcommand != "undo":
        leftovers.undo_leftovers()


app.add_typer(es.app, name="es")
app.add_typer(worker.app, name="worker")
app.add_typer(db.app, name="db")
app.command("proxy")(proxy.proxy)
app.command("block")(block.block)
app.command("unblock")(block.unblock)
app.command("list")(list_and_undo.list_faults)
app.command("undo")(list_and_undo.undo)
