"""`status`, `stuck`, `oldest`: where the pipeline stands."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.guards import reading
from outboxctl.cli.options import DatabaseUrl, Json, Limit, MaxProcessing, settings

if TYPE_CHECKING:
    from rich.console import Console

    from outboxctl.cli.watch import Look
    from outboxctl.core.snapshot import EventRow, Standing
    from outboxctl.settings import Settings

STUCK_COLUMNS = ("id", "op", "attempts", "held for", "owner")
PATIENCE = 10.0  # seconds until a look of --watch is given up: a cheap one takes some tens of ms


def status(
    watch: Annotated[
        float | None, typer.Option("--watch", min=0.1, max=86_400, help="Look again every so many seconds.")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Count every row, however long that takes; no estimates.")
    ] = False,
    database_url: DatabaseUrl = None,
    max_processing_seconds: MaxProcessing = None,
    json: Json = False,
) -> None:
    """Show where the pipeline stands: A) statuses, B) stuck, C) the five oldest pending.

    Also why events failed, the pace in and out, the time to drain, and the workers. Done events of a
    large table are estimated ("about"), all else is counted. With --json, --watch prints a line a look.

    Example: outboxctl status --watch 2
    """
    given = settings(database_url=database_url, max_processing_seconds=max_processing_seconds)
    if watch is None:
        _show(_read(given, exact=exact), json=json)
        return
    from outboxctl.cli.watch import looks

    patience = None if exact else PATIENCE
    _follow(looks(lambda: _read(given, exact=exact, longest=patience), watch), json=json)


def stuck(
    limit: Limit = 20,
    database_url: DatabaseUrl = None,
    max_processing_seconds: MaxProcessing = None,
    json: Json = False,
) -> None:
    """List events that are stuck: their lease or their processing time ran out (B).

    Example: outboxctl stuck --limit 5
    """
    from outboxctl.core import snapshot

    given = settings(database_url=database_url, max_processing_seconds=max_processing_seconds)
    with reading(given) as connection:
        rows = snapshot.stuck(connection, limit=limit, max_processing=given.max_processing_seconds)
    _events("Stuck", STUCK_COLUMNS, rows, json=json)


def oldest(limit: Limit = 20, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """List the oldest pending events (C).

    Example: outboxctl oldest --limit 5
    """
    from outboxctl.cli.standing import OLDEST_COLUMNS
    from outboxctl.core import snapshot

    with reading(settings(database_url=database_url)) as connection:
        rows = snapshot.oldest(connection, limit=limit)
    _events("Oldest pending", OLDEST_COLUMNS, rows, json=json)


def _read(given: "Settings", *, exact: bool, longest: float | None = None) -> "Standing":
    from outboxctl.core import snapshot

    with reading(given, longest=longest) as connection:
        return snapshot.standing(connection, max_processing=given.max_processing_seconds, exact=exact)


def _show(standing: "Standing", *, json: bool) -> None:
    from outboxctl.cli import render
    from outboxctl.cli.standing import WIDE, view

    if json:
        render.emit_json(standing)
        return
    out = render.console()
    out.print(view(standing, wide=out.is_terminal and out.width >= WIDE))
    if standing.failed_by_reason:
        out.print("Next: outboxctl failed list")


def _follow(seen: "Iterator[Look]", *, json: bool) -> None:
    """Redraw in place on a terminal, print below each other elsewhere; ^C ends it well."""
    from outboxctl.cli import render

    out = render.console()
    try:
        if json or not out.is_terminal or out.is_dumb_terminal:
            _print_each(seen, json=json)
        else:
            _redraw(seen, out)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _print_each(seen: "Iterator[Look]", *, json: bool) -> None:
    from outboxctl.cli import render

    away = False
    for look in seen:
        if not look.problem:
            render.emit_line(look.standing) if json else _show(look.standing, json=False)
        elif not away:
            render.console(stderr=True).print(render.cell(f"still waiting: {look.problem}"))
        away = bool(look.problem)


def _redraw(seen: "Iterator[Look]", out: "Console") -> None:
    """On the terminal's other screen, as `less` does; what was seen last stays when it ends."""
    from rich.live import Live

    from outboxctl.cli.standing import screen

    look = next(seen)
    try:
        with Live(screen(look, out), console=out, auto_refresh=False, screen=True) as live:
            for look in seen:
                live.update(screen(look, out), refresh=True)
    finally:
        out.print(screen(look, out))


def _events(title: str, columns: Sequence[str], rows: "list[EventRow]", *, json: bool) -> None:
    from outboxctl.cli import render
    from outboxctl.cli.standing import cells

    if json:
        from dataclasses import asdict

        render.emit_json({"events": [asdict(row) for row in rows]})
    elif rows:
        render.console().print(render.table(title, columns, cells(columns, rows)))
    else:
        render.console().print(f"{title}: none")
