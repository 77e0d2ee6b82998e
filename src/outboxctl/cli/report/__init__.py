"""`report`: where the outbox stands, as one page to send on; for those without Grafana."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli.closed_pipe import tolerate_closed_pipe
from outboxctl.cli.guards import reading
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, Json, MaxProcessing, settings
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from outboxctl.operations.report.overview import Overview

PATIENCE = 10.0  # seconds for each part: a page without one of them is better than none


def report(
    html: Annotated[bool, typer.Option("--html", help="One page that needs nothing else (default).")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it here, at once or not at all [default: stdout].")
    ] = None,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    max_processing_seconds: MaxProcessing = None,
    json: Json = False,
) -> None:
    """Write where the outbox stands as one self-contained page: is it moving, why does it fail, who works.

    Changes nothing, and reads a bounded part of a large table. The first line is what `check` would say.
    Exit code 0 however it stands, 3 where an end is away or a part was not to be had: the page says so.

    Example: outboxctl report --html --out outbox.html
    """
    if html and json:
        raise UsageError("--html and --json are two forms of a report", hint="ask for one of them")
    from outboxctl.cli.config import shown
    from outboxctl.operations.report.overview import overview

    flags: dict[str, Any] = {
        "database_url": database_url,
        "elastic_url": elastic_url,
        "elastic_index": elastic_index,
        "max_processing_seconds": max_processing_seconds,
    }
    given = settings(**flags)
    found = overview(given, lambda: reading(given, longest=PATIENCE), shown(given, flags))
    _write(_json(found) if json else _page(found), out)
    for what, why in found.missing.items():
        typer.echo(f"left out: {what}: {brief(why)}", err=True)
    if found.missing:
        raise typer.Exit(ExitCode.UNREACHABLE)


def _page(found: "Overview") -> str:
    from outboxctl.cli.report.page import page

    return page(found)


def _json(found: "Overview") -> str:
    from outboxctl.cli import rendering

    return rendering.json_text(found)


@tolerate_closed_pipe()
def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text)
        return
    try:
        _into(out, text + "\n")
    except OSError as error:
        raise UsageError(f"--out: cannot write {out}: {error.strerror}") from None
    if sys.stderr.isatty():
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
