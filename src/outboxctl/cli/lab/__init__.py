"""`lab`: drills with a verdict and evidence."""

import typer

from outboxctl.cli.lab import catalogue, leftovers, report, run

app = typer.Typer(help="Drills that break the pipeline on purpose, with a verdict.", no_args_is_help=True)
app.callback()(leftovers.recover)
app.command("list")(catalogue.list_labs)
app.command("show")(catalogue.show)
app.command("run")(run.run)
app.command("report")(report.report)
