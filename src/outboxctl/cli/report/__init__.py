"""`report`: the state of the outbox as one page to send on; for those without Grafana."""

import os
from pathlib import Path
from typing import Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.cli.guards import reading
from outboxctl.cli.options import Json, print_progress, settings
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.domain.printable import brief

PATIENCE = 10.0  # seconds for each part: a page without one of them is better than none


def report(
    out: Annotated[
        Path | None, typer.Option(help="Write it here, at once or not at all [default: stdout].")
    ] = None,
    json: Json = False,
) -> None:
    """Write the state of the outbox as one page of HTML: is it moving, why does it fail, who works.

    Changes nothing, and reads a bounded part of a large table. The first line is what `check` would say.
    Exit code 0 whatever the state is, 3 where a server is unreachable or a part is missing: the page says so.

    Example: outboxctl report --out outbox.html
    """
    from outboxctl.cli.report.page import page
    from outboxctl.operations.report.overview import overview

    configured = settings()
    state = overview(configured, lambda: reading(configured, longest=PATIENCE))
    _write(rendering.json_text(state) if json else page(state), out)
    for what, why in state.missing.items():
        print_progress(f"left out: {what}: {brief(why)}")
    if state.missing:
        raise typer.Exit(ExitCode.UNREACHABLE)


@tolerate_closed_pipe()
def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text)
        return
    try:
        _into(out, text + "\n")
    except OSError as error:
        raise UsageError(f"--out: cannot write {out}: {error.strerror}") from None
    typer.echo(f"written: {out}", err=True)


def _into(out: Path, text: str) -> None:
    if out.exists() and not out.is_file():  # /dev/null must stay what it is, and so must a pipe
        out.write_text(text, encoding="utf-8")
        return
    target = out.resolve()  # a link stays one
    part = target.with_name(f"{target.name}.{os.getpid()}.part")  # a reader must never be served half of it
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
