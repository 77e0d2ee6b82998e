"""`status`, `stuck`, `oldest`: where the pipeline stands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli.guards import reading
from outboxctl.cli.options import DatabaseUrl, Json, Limit, MaxProcessing, settings

if TYPE_CHECKING:
    from rich.console import Group

    from outboxctl.core.snapshot import EventRow, Standing
    from outboxctl.settings import Settings

OLDEST_COLUMNS = ("id", "age", "attempts", "retry in", "reason")
MOMENTS = {"age": "created_at", "held for": "processing_started_at", "retry in": "next_retry_at"}
NAMES = {"reason": "error_reason"}
STUCK_COLUMNS = ("id", "op", "attempts", "held for", "owner")


def status(
    watch: Annotated[
        float | None, typer.Option("--watch", min=0.1, max=86_400, help="Repeat every so many seconds.")
    ] = None,
    database_url: DatabaseUrl = None,
    max_processing_seconds: MaxProcessing = None,
    json: Json = False,
) -> None:
    """Show where the pipeline stands: A) statuses, B) stuck, C) the five oldest pending.

    Example: outboxctl status --watch 2
    """
    given = settings(database_url=database_url, max_processing_seconds=max_processing_seconds)
    if watch is None:
        _show(_read(given), json=json)
    else:
        _watch(given, watch, json=json)


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
    from outboxctl.core import snapshot

    with reading(settings(database_url=database_url)) as connection:
        rows = snapshot.oldest(connection, limit=limit)
    _events("Oldest pending", OLDEST_COLUMNS, rows, json=json)


def _read(given: "Settings") -> "Standing":
    from outboxctl.core import snapshot

    with reading(given) as connection:
        return snapshot.standing(connection, max_processing=given.max_processing_seconds)


def _show(standing: "Standing", *, json: bool) -> None:
    from outboxctl.cli import render

    if json:
        render.emit_json(standing)
    else:
        render.console().print(view(standing))


def _watch(given: "Settings", seconds: float, *, json: bool) -> None:
    """Redraw in place on a terminal, repeat below each other elsewhere; ^C ends it well."""
    from time import sleep

    from outboxctl.cli import render

    try:
        if json or not render.console().is_terminal:
            while True:
                _show(_read(given), json=json)
                sleep(seconds)
        from rich.live import Live

        with Live(view(_read(given)), console=render.console(), auto_refresh=False) as live:
            while True:
                sleep(seconds)
                live.update(view(_read(given)), refresh=True)
    except KeyboardInterrupt:
        raise typer.Exit from None


def view(standing: "Standing") -> "Group":
    """The tables of `status`."""
    from rich.console import Group
    from rich.text import Text

    from outboxctl.cli import render

    summary = (
        f"{standing.projection}: lag {standing.lag:,}, stuck {standing.stuck:,}, "
        f"oldest {render.age(standing.oldest_age_seconds)}"
    )
    parts: list[Any] = [
        Text(summary, style="bold"),
        render.counts("A  Status", ("status", "events"), standing.status),
    ]
    parts.append(Text(f"B  Stuck: {standing.stuck:,}\n", style="bold"))
    if standing.oldest_pending:
        parts.append(
            render.table("C  Oldest pending", OLDEST_COLUMNS, _cells(OLDEST_COLUMNS, standing.oldest_pending))
        )
    if standing.failed_by_reason:
        parts.append(render.counts("Failed by reason", ("reason", "events"), standing.failed_by_reason))
        parts.append(Text("Replay them: outboxctl replay --by YOU --reason WHY --dry-run"))
    return Group(*parts)


def _events(title: str, columns: Sequence[str], rows: "list[EventRow]", *, json: bool) -> None:
    from outboxctl.cli import render

    if json:
        from dataclasses import asdict

        render.emit_json({"events": [asdict(row) for row in rows]})
    elif rows:
        render.console().print(render.table(title, columns, _cells(columns, rows)))
    else:
        render.console().print(f"{title}: none")


def _cells(columns: Sequence[str], rows: "list[EventRow]") -> list[list[Any]]:
    """What people ask of a moment is how far it is away; `--json` has the moments themselves."""
    from datetime import UTC, datetime

    from outboxctl.cli import render

    now = datetime.now(UTC)
    return [
        [
            render.distance(getattr(row, MOMENTS[c]), now) if c in MOMENTS else getattr(row, NAMES.get(c, c))
            for c in columns
        ]
        for row in rows
    ]
