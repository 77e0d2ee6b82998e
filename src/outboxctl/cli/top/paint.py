"""What the full-screen view shows, as text: nothing in it is taken for markup or moves a cursor."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from outboxctl.cli import rendering
from outboxctl.cli.status import view as standing
from outboxctl.domain.printable import brief, clean, counted
from outboxctl.domain.redaction import cut

if TYPE_CHECKING:
    from outboxctl.core.operator.failed import Event, FailedRow, Group
    from outboxctl.core.stats.snapshot import PipelineStatus
    from outboxctl.core.stats.workers import WorkerRow

BARS = "▁▂▃▄▅▆▇█"
KEPT = 600  # looks
WHOLE = 50_000  # characters of one text that are shown
SIDE = 18  # columns of a line of bars that are not bars
WORKERS = 5  # shown


def _looks() -> deque[float]:
    return deque(maxlen=KEPT)


@dataclass(frozen=True)
class History:
    """The figures of the last looks, oldest first; a rate that nobody knew is left out."""

    lag: deque[float] = field(default_factory=_looks)
    rate_in: deque[float] = field(default_factory=_looks)
    rate_out: deque[float] = field(default_factory=_looks)

    def add(self, now: "PipelineStatus") -> None:
        """Remember one look."""
        for line, figure in ((self.lag, now.lag), (self.rate_in, now.rate_in), (self.rate_out, now.rate_out)):
            if figure is not None:
                line.append(figure)


def spark(values: Sequence[float], width: int) -> str:
    """The newest `width` values as bars; the highest fills its cell, nothing is the lowest."""
    shown = list(values)[-width:]
    highest = max(shown, default=0) or 1
    return "".join(BARS[min(7, int(8 * value / highest))] for value in shown)


def figures(now: "PipelineStatus", history: History, width: int) -> Text:
    """Counts, pace and how they went, in lines of `width` characters."""
    bars = [
        f"{name:<4}{spark(values, width - SIDE)} {last}"
        for name, values, last in (
            ("lag", history.lag, f"{now.lag:,}"),
            ("in", history.rate_in, standing.rate(now.rate_in)),
            ("out", history.rate_out, standing.rate(now.rate_out)),
        )
        if values
    ]
    head = Text(f"{_counts(now)}\n", style="bold")
    return head.append("\n".join([standing.flow(now), *bars]), style="not bold")


def _counts(now: "PipelineStatus") -> str:
    oldest = rendering.age(now.oldest_age_seconds)
    failed = now.status.get("failed", 0)
    circuit = "  CIRCUIT OPEN" if now.circuit_open else ""
    return f"lag {now.lag:,}  oldest {oldest}  stuck {now.stuck:,}  failed {failed:,}{circuit}"


def group(found: "Group") -> list[Any]:
    """The cells of one cause of failures."""
    last = rendering.distance(found.last_failed_at, datetime.now(UTC))
    return [brief(found.error_reason, 24), f"{found.count:,}", last, found.folded]


def cause(found: "Group") -> Text:
    """What stands above the events of one cause."""
    again = f", {found.failed_again:,} failed again after a replay" if found.failed_again else ""
    head = f"{brief(found.error_reason, 80)}: {counted(found.count, 'event')}{again}"
    return Text(f"{head}\n{brief(found.sample or 'no error', 300)}")


def row(found: "FailedRow") -> list[Any]:
    """The cells of one failed event."""
    last = rendering.distance(found.failed_at, datetime.now(UTC))
    return [found.id, brief(found.entity_type, 16), found.attempts, last]


def workers(seen: "list[WorkerRow] | None") -> Text:
    """A line a worker, the living first."""
    lines = [_worker(each) for each in (seen or [])[:WORKERS]]
    more = len(seen or []) - WORKERS
    return Text(
        "\n".join(lines + [f"and {more:,} more workers"] * (more > 0)), overflow="ellipsis", no_wrap=True
    )


def _worker(seen: "WorkerRow") -> str:
    age = "-" if seen.heartbeat_age_seconds is None else rendering.age(seen.heartbeat_age_seconds)
    state = f"{seen.in_flight:,} in flight, out {standing.rate(seen.rate_out)}" if seen.alive else "silent"
    return f"{brief(seen.worker_id, 40)} on {brief(seen.host, 30)}: {state}, heard of {age} ago"


def event(found: "Event") -> Text:
    """One event and its source row, every text whole with the line breaks that it has."""
    first = {name: found.row.get(name) for name in ("id", "error_reason", "error")}
    source = found.source or {"": "gone: a delivery would delete the document"}
    return Text("\n".join([*_fields(first | found.row), "", "Its source row now", *_fields(source)]))


def _fields(named: dict[str, Any]) -> list[str]:
    return [f"{clean(name):<22} {_full_text(value)}" for name, value in named.items()]


def _full_text(value: Any) -> str:
    text = "-" if value is None else str(value)
    shown = f"\n{'':<23}".join(clean(line) for line in cut(text, WHOLE).splitlines())
    return f"{shown} … and {len(text) - WHOLE:,} characters more" if len(text) > WHOLE else shown
