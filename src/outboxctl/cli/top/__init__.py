"""`top`: the state of the pipeline, live and full-screen; Textual is imported in the body."""

import os
import sys
from typing import Annotated

import typer

from outboxctl.cli.options import settings
from outboxctl.domain.errors import ExitCode, UsageError


def top(
    interval: Annotated[float, typer.Option(min=0.2, max=3_600, help="Seconds between two reads.")] = 2.0,
) -> None:
    """Watch rates, lag, workers and failures full-screen; inspect failures and prepare replays.

    It changes nothing: the replays that were prepared with `r` are printed as commands at the end.

    Example: outboxctl top --interval 5
    """
    _require_screen()
    from outboxctl.cli.top.app import Top
    from outboxctl.cli.top.feed import Feed

    feed = Feed(settings())
    first = feed.snapshot()  # a wrong URL or schema is reported before the screen is taken
    view = Top(feed, first, interval)
    for command in view.run() or []:
        typer.echo(command)
    if view.return_code:
        raise typer.Exit(ExitCode.UNEXPECTED)


def _require_screen() -> None:
    hint = "`outboxctl status --watch 2` needs no screen"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("top needs a terminal", hint=hint)
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown", ""):
        raise UsageError("top needs a terminal that can move its cursor, and TERM says dumb", hint=hint)
