"""The tree of commands."""

from typing import Annotated

import typer

import outboxctl
from outboxctl.cli import (
    alerts,
    audit,
    check,
    config,
    demo,
    doctor,
    explain,
    inject,
    lab,
    prune,
    replay,
    report,
    services,
    sink,
    top,
    worker,
)
from outboxctl.cli.bench import command as bench
from outboxctl.cli.chaos import command as chaos
from outboxctl.cli.db import command as db
from outboxctl.cli.failed import command as failed
from outboxctl.cli.options import group
from outboxctl.cli.projection import command as projection
from outboxctl.cli.rebuild import command as rebuild
from outboxctl.cli.status import command as status
from outboxctl.cli.verify import command as verify

app = group(
    "Run, watch, replay and drill a PostgreSQL outbox to Elasticsearch pipeline.",
    epilog="First time: `outboxctl demo` shows everything on services of its own.\n\n"
    "After an alert: `outboxctl status`, then `outboxctl explain` and the alert's name.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"outboxctl {outboxctl.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command("demo")(demo.demo)
app.command("worker")(worker.worker)
app.command("status")(status.status)
app.command("top")(top.top)
app.command("check")(check.check)
app.add_typer(alerts.app, name="alerts")
app.command("report")(report.report)
app.command("doctor")(doctor.doctor)
app.command("explain")(explain.explain)
app.command("stuck")(status.stuck)
app.command("oldest")(status.oldest)
app.add_typer(failed.app, name="failed")
app.add_typer(replay.app, name="replay")
app.command("audit")(audit.audit)
app.command("verify")(verify.verify)
app.command("rebuild")(rebuild.rebuild)
app.add_typer(projection.app, name="projection")
app.command("prune")(prune.prune)
app.add_typer(inject.app, name="inject")
app.add_typer(chaos.app, name="chaos")
app.add_typer(lab.app, name="lab")
app.command("bench")(bench.bench)
app.add_typer(db.app, name="db")
app.add_typer(services.app, name="services")
app.add_typer(sink.app, name="sink")
app.add_typer(config.app, name="config")
