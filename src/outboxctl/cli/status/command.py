"""`status`, `stuck`, `oldest`: the state of the pipeline."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from time import sleep
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.guards import reading
from outboxctl.cli.options import Json, Limit, OfProjection, settings
from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from outboxctl.core.stats.snapshot import EventRow, PipelineStatus
    from outboxctl.settings import Settings

SECOND_LOOK = 1.0  # seconds after the first one: the pace of follow events is measured in between
PATIENCE = 10.0  # seconds for one query of --watch: the cheap ones take some tens of ms


def status(
    watch: Annotated[
        float | None, typer.Option(min=0.1, max=86_400, help="Query again every so many seconds.")
    ] = None,
    projection: OfProjection = None,
    json: Json = False,
) -> None:
    """Show the state of the pipeline: A) statuses, B) stuck, C) the five oldest pending.

    Also why events failed, the pace in and out, the time to drain, and the workers. Done events of a
    large table are estimated ("about"), all else is counted.
    Where changes of followed tables wait for their documents, it looks twice, a second apart, for their pace.
    Where projections are in force, a line a projection; --projection shows one by itself.

    Example: outboxctl status --watch 2
    """
    from outboxctl.cli.status.view import lines

    configured = settings()
    if watch is not None:
        if json:
            raise UsageError("--json goes with one look: --watch is for people", hint="leave one of them out")
        from outboxctl.cli.status.watch import follow

        follow(_reader(configured, projection, longest=PATIENCE), watch)
        return
    state = read_status(configured, projection)
    rendering.show(state, lambda: lines(state), json=json)


def read_status(
    configured: "Settings", projection: str | None = None, *, longest: float | None = None
) -> "PipelineStatus":
    """Read the state; twice if events of followed tables wait, because their pace is the difference."""
    read = _reader(configured, projection, longest=longest)
    state = read()
    if state.following:
        sleep(SECOND_LOOK)
        state = read()
    return state


def _reader(
    configured: "Settings", projection: str | None, *, longest: float | None
) -> "Callable[[], PipelineStatus]":
    """Return a function that reads the state, and measures the pace since its previous call."""
    from outboxctl.core.stats import snapshot
    from outboxctl.core.stats.following import FollowPace

    pace = FollowPace()

    def read() -> "PipelineStatus":
        with reading(configured, longest=longest) as connection:
            return snapshot.pipeline_status(
                connection, max_processing=configured.max_processing_seconds, projection=projection, pace=pace
            )

    return read


def stuck(projection: OfProjection = None, limit: Limit = 20, json: Json = False) -> None:
    """List events that are stuck: their lease or their processing time ran out (B).

    Example: outboxctl stuck --limit 5
    """
    from outboxctl.cli.status.view import STUCK_COLUMNS
    from outboxctl.core.stats import snapshot

    configured = settings()
    with reading(configured) as connection:
        longest = configured.max_processing_seconds
        rows = snapshot.stuck(connection, limit=limit, max_processing=longest, projection=projection)
    _show_events("Stuck", STUCK_COLUMNS, rows, json=json)


def oldest(projection: OfProjection = None, limit: Limit = 20, json: Json = False) -> None:
    """List the oldest pending events (C).

    Example: outboxctl oldest --limit 5
    """
    from outboxctl.cli.status.view import OLDEST_COLUMNS
    from outboxctl.core.stats import snapshot

    with reading(settings()) as connection:
        rows = snapshot.oldest(connection, limit=limit, projection=projection)
    _show_events("Oldest pending", OLDEST_COLUMNS, rows, json=json)


def _show_events(title: str, columns: Sequence[str], rows: "list[EventRow]", *, json: bool) -> None:
    from outboxctl.cli.status.view import cells

    table = rendering.table(title, columns, cells(columns, rows)) if rows else f"{title}: none"
    rendering.show({"events": [asdict(row) for row in rows]}, lambda: [table], json=json)
