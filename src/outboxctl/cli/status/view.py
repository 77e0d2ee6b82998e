"""How `status` looks: the standing as tables that fit the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from outboxctl.cli import rendering
from outboxctl.domain.printable import brief, counted

if TYPE_CHECKING:
    from outboxctl.cli.status.watch import StatusSnapshot
    from outboxctl.core.stats.snapshot import EventRow, PipelineStatus
    from outboxctl.core.stats.workers import WorkerRow

OLDEST_COLUMNS = ("id", "age", "attempts", "retry in", "reason")
WORKER_COLUMNS = ("worker", "host", "heartbeat", "in flight", "policy", "out", "state")
MOMENTS = {"age": "created_at", "held for": "processing_started_at", "retry in": "next_retry_at"}
NAMES = {"reason": "error_reason"}
WIDE = 80  # columns from which two tables stand side by side
MOST = 1_000  # rows of a table, where nothing limits them


def view(
    standing: "PipelineStatus",
    *,
    most: int = MOST,
    wide: bool = False,
    pace: str | None = None,
    at: datetime | None = None,
) -> Group:
    """The whole of `status` as it was `at` a moment (by default now), at most `most` rows a list.

    `pace` is said in place of what the workers report.
    """
    parts = [
        Group(*_headline(standing, pace)),
        *_beside(_statuses(standing), _failed(standing, most), wide=wide),
        Text(f"B  Stuck: {standing.stuck:,}", style="bold"),
    ]
    if standing.oldest_pending:
        rows = cells(OLDEST_COLUMNS, standing.oldest_pending[:most], at)
        parts.append(_table("C  Oldest pending", OLDEST_COLUMNS, rows))
    if standing.workers:
        rows = [_worker(worker) for worker in standing.workers[:most]]
        parts.append(_table(_titled("Workers", standing.workers, most), WORKER_COLUMNS, rows))
    return Group(*(parts if most < MOST else _spaced(parts)))


def screen(look: "StatusSnapshot", out: Console) -> Group:
    """One look of `--watch`, with as many rows a list as fit the terminal."""
    for most in (5, 4, 3, 2, 1):
        wide = out.width >= WIDE
        seen = view(look.standing, most=most, wide=wide, pace=look.change, at=look.at)
        shown = Group(_when(look), seen)
        if len(out.render_lines(shown, pad=False)) <= out.height:
            break
    return shown


def _when(look: "StatusSnapshot") -> Text:
    seen = look.at.strftime("%H:%M:%SZ")
    if look.problem:
        # Folded: why it is away stands at the end of a long address.
        return Text(f"as of {seen}, waiting: {brief(look.problem, 400)}", style="bold red", overflow="fold")
    return Text(f"as of {seen}", style="dim")


def cells(columns: Sequence[str], rows: "list[EventRow]", at: datetime | None = None) -> list[list[Any]]:
    """What people ask of a moment is how far it is away; `--json` has the moments themselves."""
    now = at or datetime.now(UTC)
    return [[_cell(row, column, now) for column in columns] for row in rows]


def _cell(row: "EventRow", column: str, now: datetime) -> Any:
    if column not in MOMENTS:
        return getattr(row, NAMES.get(column, column))
    moment = getattr(row, MOMENTS[column])
    due = column == "retry in" and moment and moment <= now
    return "due" if due else rendering.distance(moment, now)


def rate(events: float | None) -> str:
    """Events a second for people."""
    if events is None:
        return "-"
    return f"{events:.1f}/s" if events < 10 else f"{events:,.0f}/s"  # noqa: PLR2004 - tenths matter below


def _spaced(parts: Sequence[Any]) -> list[Any]:
    return [each for part in parts for each in (part, "")]


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    table = rendering.table(title, columns, rows)
    table.show_edge = False  # its blank lines: 24 of a terminal are few
    for column in table.columns:
        column.no_wrap |= column.header in MOMENTS
        column.overflow = "ellipsis"
    return table


def _headline(standing: "PipelineStatus", pace: str | None) -> list[Text]:
    oldest = f", the oldest {rendering.age(standing.oldest_age_seconds)} old" if standing.lag else ""
    head = Text(f"Lag: {counted(standing.lag, 'event')}{oldest}", style="bold")
    lines = [
        head.append(f"  (projection {standing.projection})", style="not bold dim"),
        Text(pace or flow(standing)),
    ]
    if standing.circuit_open:
        said = "Circuit open: the sink takes nothing and is probed; see `outboxctl doctor`"
        lines.append(Text(said, style="bold red"))
    return lines


def flow(standing: "PipelineStatus") -> str:
    """Rates and time to drain by what the workers report, or that none does."""
    if standing.workers is None:
        return (
            "Pace: workers cannot be read; `outboxctl db upgrade` or `db roles` gives the table or the right"
        )
    if standing.circuit_open is None:
        return "Pace: no worker is running" + _retries(standing)
    return f"Pace: {_rates(standing)}"


def _rates(standing: "PipelineStatus") -> str:
    from outboxctl.core.stats.workers import much_waits

    if standing.rate_out is None:
        return "not measured yet" + _retries(standing)
    rates = f"in {rate(standing.rate_in)}, out {rate(standing.rate_out)}"
    if standing.drain_seconds is not None:
        return rates + (f", drained in {rendering.age(standing.drain_seconds)}" if standing.lag else "")
    if standing.circuit_open or much_waits(standing.lag, standing.waiting_for_retry):
        return rates + _retries(standing)
    return f"{rates}, never drained at this pace"


def _retries(standing: "PipelineStatus") -> str:
    """In place of a time to drain: right after an outage the pace says nothing, the retries' times do."""
    if not standing.waiting_for_retry:
        return ""
    last = rendering.age(standing.retries_due_seconds)
    return f"; {standing.waiting_for_retry:,} wait for a retry, the last is due in {last}"


def _statuses(standing: "PipelineStatus") -> Table:
    rows = [
        (status, f"about {count:,}" if status in standing.estimated else f"{count:,}")
        for status, count in standing.status.items()
    ]
    table = _table("A  Status", ("status", "events"), rows)
    table.columns[1].justify = "right"
    return table


def _failed(standing: "PipelineStatus", most: int) -> Table | None:
    reasons = list(standing.failed_by_reason.items())
    rows = [(reason, f"{count:,}") for reason, count in reasons[:most]]
    return _table(_titled("Failed by reason", reasons, most), ("reason", "events"), rows) if rows else None


def _titled(title: str, rows: Sequence[object], most: int) -> str:
    return f"{title} ({most} of {len(rows)})" if len(rows) > most else title


def _beside(left: Table, right: Table | None, *, wide: bool) -> list[Any]:
    if right is None or not wide:
        return [each for each in (left, right) if each]
    grid = Table.grid(padding=(0, 4, 0, 0))
    grid.add_row(left, right)
    return [grid]


def _worker(worker: "WorkerRow") -> list[Any]:
    age = worker.heartbeat_age_seconds
    state = "silent" if not worker.alive else "circuit open" if worker.circuit_open else "alive"
    heartbeat = None if age is None else rendering.age(age)
    in_flight, out = f"{worker.in_flight:,}", rate(worker.rate_out)
    return [worker.worker_id, worker.host, heartbeat, in_flight, worker.outage_policy, out, state]
