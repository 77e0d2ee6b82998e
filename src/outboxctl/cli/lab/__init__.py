"""`lab`: drills with a verdict and evidence."""

from outboxctl.cli.lab import catalogue, report, run
from outboxctl.cli.options import group

app = group("Drills that break the pipeline on purpose, with a verdict.")
app.command("list")(catalogue.list_labs)
app.command("run")(run.run)
app.command("report")(report.report)
