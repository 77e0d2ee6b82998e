"""`status`, `stuck`, `oldest`: where the pipeline stands."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.guards import reading
from outboxctl.cli.options import DatabaseUrl, Json, Limit, MaxProcessing, settings

if TYPE_CHECKING:
    from rich.console import Console

    from outboxctl.cli.status.watch import StatusSnapshot
    from outboxctl.core.stats.snapshot import EventRow, PipelineStatus
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
    from outboxctl.cli.status.watch import looks

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
    from outboxctl.core.stats import snapshot

    given = settings(database_url=database_url, max_processing_seconds=max_processing_seconds)
    with reading(given) as connection:
        rows = snapshot.stuck(connection, limit=limit, max_processing=given.max_processing_seconds)
    _events("Stuck", STUCK_COLUMNS, rows, json=json)


def oldest(limit: Limit = 20, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """List the oldest pending events (C).

    Example: outboxctl oldest --limit 5
    """
    from outboxctl.cli.status.view import OLDEST_COLUMNS
    from outboxctl.core.stats import snapshot

    with reading(settings(database_url=database_url)) as connection:
        rows = snapshot.oldest(connection, limit=limit)
    _events("Oldest pending", OLDEST_COLUMNS, rows, json=json)


def _read(given: "Settings", *, exact: bool, longest: float | None = None) -> "PipelineStatus":
    from outboxctl.core.stats import snapshot

    with reading(given, longest=longest) as connection:
        return snapshot.pipeline_status(connection, max_processing=given.max_processing_seconds, exact=exact)


def _show(standing: "PipelineStatus", *, json: bool) -> None:
    from outboxctl.cli import rendering
    from outboxctl.cli.status.view import WIDE, view

    if json:
        rendering.emit_json(standing)
        return
    out = rendering.console()
    out.print(view(standing, wide=out.is_terminal and out.width >= WIDE))
    if standing.failed_by_reason:
        out.print("Next: outboxctl failed list")


def _follow(seen: "Iterator[StatusSnapshot]", *, json: bool) -> None:
    """Redraw in place on a terminal, print below each other elsewhere; ^C ends it well."""
    from outboxctl.cli import rendering

    out = rendering.console()
    try:
        if json or not out.is_terminal or out.is_dumb_terminal:
            _print_each(seen, json=json)
        else:
            _redraw(seen, out)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _print_each(seen: "Iterator[StatusSnapshot]", *, json: bool) -> None:
    from outboxctl.cli import rendering

    away = False
    for look in seen:
        if not look.problem:
            rendering.emit_line(look.standing) if json else _show(look.standing, json=False)
        elif not away:
            rendering.console(stderr=True).print(rendering.cell(f"still waiting: {look.problem}"))
        away = bool(look.problem)


def _redraw(seen: "Iterator[StatusSnapshot]", out: "Console") -> None:
    """On the terminal's other screen, as `less` does; what was seen last stays when it ends."""
    from rich.live import Live

    from outboxctl.cli.status.view import screen

    look = next(seen)
    try:
        with Live(screen(look, out), console=out, auto_refresh=False, screen=True) as live:
            for look in seen:
                live.update(screen(look, out), refresh=True)
    finally:
        out.print(screen(look, out))


def _events(title: str, columns: Sequence[str], rows: "list[EventRow]", *, json: bool) -> None:
    from outboxctl.cli import rendering
    from outboxctl.cli.status.view import cells

    if json:
        from dataclasses import asdict

        rendering.emit_json({"events": [asdict(row) for row in rows]})
    elif rows:
        rendering.console().print(rendering.table(title, columns, cells(columns, rows)))
    else:
        rendering.console().print(f"{title}: none")
