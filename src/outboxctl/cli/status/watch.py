"""Status snapshots at an interval; they go on while the database is unreachable."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING

import typer

from outboxctl.cli import rendering
from outboxctl.domain.errors import UnreachableError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from outboxctl.core.stats.snapshot import PipelineStatus


@dataclass(frozen=True)
class StatusSnapshot:
    """The state at a moment; `problem` says why there is no newer one.

    `change` is the rate since the snapshot before, for when no worker reports a pace.
    """

    state: "PipelineStatus"
    at: datetime
    change: str | None = None
    problem: str | None = None


def snapshots(read: Callable[[], "PipelineStatus"], seconds: float) -> Iterator[StatusSnapshot]:
    """One every `seconds`, without end. Raises UnreachableError only if the first one fails."""
    last: StatusSnapshot | None = None
    while True:
        try:
            last = _with_change(last, StatusSnapshot(read(), datetime.now(UTC)))
            yield last
        except UnreachableError as error:
            if last is None:
                raise
            yield replace(last, problem=str(error))
        sleep(seconds)


def _with_change(before: StatusSnapshot | None, now: StatusSnapshot) -> StatusSnapshot:
    if before is None or now.state.circuit_open is not None:
        return now
    seconds = max(0.001, (now.at - before.at).total_seconds())
    lag = (now.state.lag - before.state.lag) / seconds
    failed = (now.state.status["failed"] - before.state.status["failed"]) / seconds
    change = f"Pace: no worker is running; since the last look: lag {lag:+,.1f}/s, failed {failed:+,.1f}/s"
    return replace(now, change=change)


def redraw(
    snapshots: Iterator[StatusSnapshot], draw: "Callable[[StatusSnapshot, Console], RenderableType]"
) -> None:
    """Draw on the terminal's other screen, as `less` does, until ^C, exit code 0; the last snapshot stays."""
    from rich.live import Live

    out = rendering.console()
    try:
        each = next(snapshots)
        try:
            with Live(draw(each, out), console=out, auto_refresh=False, screen=True) as live:
                for each in snapshots:
                    live.update(draw(each, out), refresh=True)
        finally:
            out.print(draw(each, out))
    except KeyboardInterrupt:
        raise typer.Exit from None
