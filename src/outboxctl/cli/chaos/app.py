"""The group's commands."""

import typer

from outboxctl.cli.chaos import block, db, es, leftovers, proxy, under_way, worker
from outboxctl.cli.group import group

app = group("Cause faults on purpose, on systems that are not production.")


@app.callback()
def _first(context: typer.Context) -> None:
    """What was left behind is undone, unless it is for `undo` to say what becomes of it."""
    if context.invoked_subcommand != "undo":
        leftovers.clear_up()


app.add_typer(es.app, name="es")
app.add_typer(worker.app, name="worker")
app.add_typer(db.app, name="db")
app.command("proxy")(proxy.proxy)
app.command("block")(block.block)
app.command("unblock")(block.unblock)
app.command("list")(under_way.list_faults)
app.command("undo")(under_way.undo)
