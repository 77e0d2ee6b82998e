"""`status --watch`: snapshots at an interval; they go on while the database is unreachable."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from outboxctl.cli import rendering
from outboxctl.cli.status.view import lines, view
from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from rich.console import Console

    from outboxctl.core.stats.snapshot import PipelineStatus


@dataclass(frozen=True)
class StatusSnapshot:
    """The state at a moment; `problem` says why there is no newer one."""

    state: "PipelineStatus"
    at: datetime
    problem: str = ""


def follow(read: Callable[[], "PipelineStatus"], seconds: float) -> None:
    """Redraw in place on a terminal, print below each other elsewhere; ^C exits 0."""
    out, snapshots = rendering.console(), _snapshots(read, seconds)
    try:
        if out.is_terminal and not out.is_dumb_terminal:
            _redraw(snapshots, out)
        for each in snapshots:
            out.print(_time(each), *lines(each.state), sep="\n")
    except KeyboardInterrupt:
        raise typer.Exit from None


def _snapshots(read: Callable[[], "PipelineStatus"], seconds: float) -> Iterator[StatusSnapshot]:
    """One every `seconds`, without end. Raises UnreachableError only if the first one fails."""
    last: StatusSnapshot | None = None
    while True:
        try:
            last = StatusSnapshot(read(), datetime.now(UTC))
            yield last
        except UnreachableError as error:
            if last is None:
                raise
            yield replace(last, problem=str(error))
        sleep(seconds)


def _redraw(snapshots: Iterator[StatusSnapshot], out: "Console") -> None:
    """Draw on the terminal's other screen, as `less` does; the last snapshot stays."""
    each = next(snapshots)
    try:
        with Live(_screen(each, out), console=out, auto_refresh=False, screen=True) as live:
            for each in snapshots:
                live.update(_screen(each, out), refresh=True)
    finally:
        out.print(_screen(each, out))


def _screen(snapshot: StatusSnapshot, out: "Console") -> Group:
    """One snapshot of `--watch`, with as many rows a list as fit the terminal."""
    for most in (5, 4, 3, 2, 1):
        state = view(snapshot.state, most=most, at=snapshot.at)
        shown = Group(_time(snapshot), state)
        if len(out.render_lines(shown, pad=False)) <= out.height:
            break
    return shown


def _time(snapshot: StatusSnapshot) -> Text:
    """When it was read, and why there is no newer one."""
    at = snapshot.at.strftime("%H:%M:%SZ")
    if snapshot.problem:
        # Folded: the cause stands at the end of a long address.
        return Text(f"as of {at}, waiting: {brief(snapshot.problem, 400)}", style="bold red", overflow="fold")
    return Text(f"as of {at}", style="dim")
