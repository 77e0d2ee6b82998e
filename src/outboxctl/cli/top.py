"""`top`: the state of the pipeline, live and full-screen: figures and their history, causes of failures."""

import os
import sys
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.guards import reading
from outboxctl.cli.options import settings
from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console, Group

    from outboxctl.cli.status.watch import StatusSnapshot
    from outboxctl.core.operator.failed import Group as FailureGroup
    from outboxctl.core.stats.following import FollowPace
    from outboxctl.core.stats.snapshot import PipelineStatus
    from outboxctl.settings import Settings

LONGEST = 15.0  # seconds for one read: a database behind a dead link never answers
SHARE = 10  # of this many seconds at most one goes into grouping failures
KEPT = 600  # snapshots
BARS = "▁▂▃▄▅▆▇█"
SIDE = 18  # columns of a line of bars that are not bars
CAUSES = ("reason", "events", "last", "what they say")


def top(
    interval: Annotated[float, typer.Option(min=0.2, max=3_600, help="Seconds between two reads.")] = 2.0,
) -> None:
    """Watch rates, lag, workers and causes of failures full-screen, until ^C. Changes nothing.

    Example: outboxctl top --interval 5
    """
    hint = "`outboxctl status --watch 2` needs no screen"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("top needs a terminal", hint=hint)
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown", ""):
        raise UsageError("top needs a terminal that can move its cursor, and TERM says dumb", hint=hint)
    from outboxctl.cli.status.watch import redraw, snapshots

    feed = Feed(settings())
    redraw(snapshots(feed.read, interval), feed.draw)


@dataclass
class Feed:
    """Reads one database again and again; keeps the figures of the last reads, unknown rates left out."""

    settings: "Settings"
    causes: "list[FailureGroup]" = field(default_factory=list)
    history: dict[str, deque[float]] = field(default_factory=dict)
    due: float = 0.0
    pace: "FollowPace | None" = None

    def read(self) -> "PipelineStatus":
        """What `status` shows; grouping errors may take a second, so it is done seldom."""
        from outboxctl.core.operator import failed
        from outboxctl.core.operator.selection import Selection
        from outboxctl.core.stats import snapshot
        from outboxctl.core.stats.following import FollowPace

        self.pace = self.pace or FollowPace()
        longest = self.settings.max_processing_seconds
        with reading(self.settings, longest=LONGEST) as connection:
            now = snapshot.pipeline_status(connection, max_processing=longest, pace=self.pace)
            began = monotonic()
            if began >= self.due:
                self.causes = failed.failed_groups(connection, Selection())
                self.due = monotonic() + SHARE * (monotonic() - began)
        for name, figure in (("lag", now.lag), ("in", now.rate_in), ("out", now.rate_out)):
            if figure is not None:
                self.history.setdefault(name, deque(maxlen=KEPT)).append(figure)
        return now

    def draw(self, snapshot: "StatusSnapshot", out: "Console") -> "Group":
        """Figures, their history, projections, causes of failures and workers."""
        from rich.console import Group

        from outboxctl.cli.status import view

        now = snapshot.state
        counts = f"Stuck: {now.stuck:,}   Failed: {now.status['failed']:,}"
        bars = [
            f"{name:<4}{spark(values, out.width - SIDE)} {values[-1]:,.0f}"
            for name, values in self.history.items()
        ]
        rows = [
            (cause.error_reason, f"{cause.count:,}", _since(cause), cause.folded) for cause in self.causes
        ]

        def parts(most: int) -> Group:
            shown = [view.time(snapshot), *view.headline(now), counts, *bars, *view.projections(now, most)]
            shown += [view.flat_table("Causes of failures", CAUSES, rows[:most])] if rows else []
            return Group(*shown, *view.workers(now, most))

        return view.fitted(out, parts)


def _since(cause: "FailureGroup") -> str | None:
    return rendering.distance(cause.last_failed_at, datetime.now(UTC))


def spark(values: "deque[float]", width: int) -> str:
    """The newest `width` values as bars; the highest fills its cell, 0 is the lowest bar."""
    shown = list(values)[-width:]
    highest = max(shown, default=0) or 1
    return "".join(BARS[min(7, int(8 * value / highest))] for value in shown)
