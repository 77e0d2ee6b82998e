"""The group's commands."""

import typer

from outboxctl.cli.chaos import proxy

app = typer.Typer(help="Cause faults on purpose, on systems that are not production.", no_args_is_help=True)
app.command("proxy")(proxy.proxy)
