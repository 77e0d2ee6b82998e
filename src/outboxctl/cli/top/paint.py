"""What the full-screen view shows, as text: nothing in it is taken for markup or moves a cursor."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from outboxctl.cli import rendering
from outboxctl.cli.status import view
from outboxctl.domain.printable import brief, clean, counted
from outboxctl.domain.redaction import cut

if TYPE_CHECKING:
    from outboxctl.core.operator.failed import Event, FailedRow, Group
    from outboxctl.core.stats.snapshot import PipelineStatus
    from outboxctl.core.stats.workers import WorkerRow

BARS = "▁▂▃▄▅▆▇█"
KEPT = 600  # snapshots
LONGEST = 50_000  # characters of one text that are shown
SIDE = 18  # columns of a line of bars that are not bars
WORKERS = PROJECTIONS = 5  # shown


@dataclass(frozen=True)
class History:
    """The figures of the last snapshots, oldest first; unknown rates are left out."""

    lag: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    rate_in: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    rate_out: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, now: "PipelineStatus") -> None:
        """Append those of one snapshot."""
        for line, figure in ((self.lag, now.lag), (self.rate_in, now.rate_in), (self.rate_out, now.rate_out)):
            if figure is not None:
                line.append(figure)


def spark(values: Sequence[float], width: int) -> str:
    """The newest `width` values as bars; the highest fills its cell, 0 is the lowest bar."""
    shown = list(values)[-width:]
    highest = max(shown, default=0) or 1
    return "".join(BARS[min(7, int(8 * value / highest))] for value in shown)


def figures(now: "PipelineStatus", history: History, width: int) -> Text:
    """Counts, pace and their history, in lines of `width` characters."""
    bars = [
        f"{name:<4}{spark(values, width - SIDE)} {last}"
        for name, values, last in (
            ("lag", history.lag, f"{now.lag:,}"),
            ("in", history.rate_in, view.rate(now.rate_in)),
            ("out", history.rate_out, view.rate(now.rate_out)),
        )
        if values
    ]
    head = Text(f"{_counts(now)}\n", style="bold")
    return head.append("\n".join([view.flow(now), *_projections(now), *bars]), style="not bold")


def _projections(now: "PipelineStatus") -> list[str]:
    """A line a projection, where any is declared."""
    if len(now.projections) < 2:  # noqa: PLR2004 - two are more than one
        return []
    lines = [
        f"{brief(each.name, 50)}: lag {each.lag:,}  oldest {rendering.age(each.oldest_age_seconds)}"
        f"  stuck {each.stuck:,}  failed {each.failed:,}"
        for each in now.projections[:PROJECTIONS]
    ]
    more = len(now.projections) - PROJECTIONS
    lines += [f"and {more:,} more projections"] if more > 0 else []
    return lines + view.followed(now, PROJECTIONS)


def _counts(now: "PipelineStatus") -> str:
    oldest = rendering.age(now.oldest_age_seconds)
    failed = now.status.get("failed", 0)
    circuit = "  CIRCUIT OPEN" if now.circuit_open else ""
    return f"lag {now.lag:,}  oldest {oldest}  stuck {now.stuck:,}  failed {failed:,}{circuit}"


def group(group: "Group") -> list[Any]:
    """The cells of one cause of failures."""
    last = rendering.distance(group.last_failed_at, datetime.now(UTC))
    return [brief(group.error_reason, 24), f"{group.count:,}", last, group.folded]


def cause(group: "Group") -> Text:
    """The lines above the events of one cause."""
    again = f", {group.failed_again:,} failed again after a replay" if group.failed_again else ""
    head = f"{brief(group.error_reason, 80)}: {counted(group.count, 'event')}{again}"
    return Text(f"{head}\n{brief(group.sample or 'no error', 300)}")


def row(event: "FailedRow") -> list[Any]:
    """The cells of one failed event."""
    last = rendering.distance(event.failed_at, datetime.now(UTC))
    return [event.id, brief(event.entity_type, 16), event.attempts, last]


def workers(rows: "list[WorkerRow] | None") -> Text:
    """A line a worker, the live ones first."""
    lines = [_worker(each) for each in (rows or [])[:WORKERS]]
    more = len(rows or []) - WORKERS
    lines += [f"and {more:,} more workers"] if more > 0 else []
    return Text("\n".join(lines), overflow="ellipsis", no_wrap=True)


def _worker(worker: "WorkerRow") -> str:
    seconds = worker.heartbeat_age_seconds
    age = "-" if seconds is None else rendering.age(seconds)
    live = f"{worker.in_flight:,} in flight, out {view.rate(worker.rate_out)}"
    name = f"{brief(worker.worker_id, 40)} on {brief(worker.host, 30)}"
    return f"{name}: {live if worker.alive else worker.state}, heard of {age} ago"


def event(event: "Event") -> Text:
    """One event and its source row, every text in full with the line breaks that it has."""
    first = {name: event.row.get(name) for name in ("id", "error_reason", "error")}
    source = event.source or {"": "gone: a delivery would delete the document"}
    if event.key is not None:
        source = {"": f"none: projection {event.projection}; `outboxctl failed show` has the document"}
    return Text("\n".join([*_fields(first | event.row), "", "Its source row now", *_fields(source)]))


def _fields(named: dict[str, Any]) -> list[str]:
    return [f"{clean(name):<22} {_full_text(value)}" for name, value in named.items()]


def _full_text(value: Any) -> str:
    text = "-" if value is None else str(value)
    shown = f"\n{'':<23}".join(clean(line) for line in cut(text, LONGEST).splitlines())
    return f"{shown} … and {len(text) - LONGEST:,} characters more" if len(text) > LONGEST else shown
