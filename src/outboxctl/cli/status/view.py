"""The state of the pipeline as tables that fit the terminal."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.columns import Columns
from rich.console import Group
from rich.table import Table
from rich.text import Text

from outboxctl.cli import rendering
from outboxctl.cli.status.families import families
from outboxctl.domain.failures import Reason
from outboxctl.domain.printable import brief, counted

if TYPE_CHECKING:
    from outboxctl.core.stats.by_projection import ProjectionStatus
    from outboxctl.core.stats.following import Following
    from outboxctl.core.stats.snapshot import EventRow, PipelineStatus
    from outboxctl.core.stats.workers import WorkerRow

OLDEST_COLUMNS = ("id", "age", "attempts", "retry in", "reason")
PROJECTION_COLUMNS = ("projection", "pending", "processing", "failed", "stuck", "oldest")
STUCK_COLUMNS = ("id", "op", "attempts", "held for", "owner")
WORKER_COLUMNS = ("worker", "host", "heartbeat", "in flight", "policy", "out", "state")
MOMENTS = {"age": "created_at", "held for": "processing_started_at", "retry in": "next_retry_at"}
NAMES = {"reason": "error_reason"}
YOUNG = 5.0  # seconds: an event may wait so long where all goes well
MOST = 1_000  # rows of a table, where nothing limits them


def lines(state: "PipelineStatus") -> Iterator[object]:
    """`status` as it is printed once, and the commands that show more."""
    yield view(state, wide=rendering.console().is_terminal)
    # What cannot be read of a projection is config, too, as what an engine refuses of each request.
    end = "" if any(each.reason == Reason.CONFIG for each in state.away) else " --only sink"
    steps = [f"outboxctl doctor{end}"] if state.away or state.circuit_open else []
    steps += ["outboxctl explain OutboxWorkerGone"] if state.lag and state.circuit_open is None else []
    steps += ["outboxctl failed list"] if state.failed_by_reason else []
    if steps:
        yield f"Next: {', then '.join(steps)}"


def view(
    state: "PipelineStatus", *, most: int = MOST, wide: bool = True, at: datetime | None = None
) -> Group:
    """`status` as it was `at` a moment (by default now), at most `most` rows a list.

    `wide`: two tables stand side by side where they fit.
    """
    tables = [each for each in (_statuses(state), _failed(state, most)) if each]
    parts: list[Any] = [
        Group(*islice(_away(state, at), most), *_headline(state)),
        *_projections(state, most),
        *([Columns(tables, padding=(0, 4))] if wide else tables),
        Text(f"B  Stuck: {state.stuck:,}", style="bold"),
    ]
    if state.oldest_pending:
        rows = cells(OLDEST_COLUMNS, state.oldest_pending[:most], at)
        parts.append(_flat_table("C  Oldest pending", OLDEST_COLUMNS, rows))
    if state.workers:
        workers = [_worker(worker) for worker in state.workers[:most]]
        parts.append(_flat_table(_titled("Workers", state.workers, most), WORKER_COLUMNS, workers))
    return Group(*(parts if most < MOST else [each for part in parts for each in (part, "")]))


def cells(columns: Sequence[str], rows: "list[EventRow]", at: datetime | None = None) -> list[list[Any]]:
    """The rows of a table, each moment as its distance from now; `--json` has the moments themselves."""
    now = at or datetime.now(UTC)
    return [[_cell(row, column, now) for column in columns] for row in rows]


def _cell(row: "EventRow", column: str, now: datetime) -> Any:
    if column not in MOMENTS:
        return getattr(row, NAMES.get(column, column))
    moment = getattr(row, MOMENTS[column])
    due = column == "retry in" and moment and moment <= now
    return "due" if due else rendering.distance(moment, now)


def _rate(events: float | None) -> str:
    if events is None:
        return "-"
    return f"{events:.1f}/s" if events < 10 else f"{events:,.0f}/s"  # noqa: PLR2004 - tenths matter below


def _flat_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table without blank lines, whose cells are cut where the terminal is too narrow."""
    table = rendering.table(title, columns, rows)
    table.show_edge = False  # its blank lines: 24 of a terminal are few
    for column in table.columns:
        column.no_wrap |= column.header in MOMENTS
        column.overflow = "ellipsis"
    return table


def _away(state: "PipelineStatus", at: datetime | None) -> Iterator[Text]:
    """A line an outage, the engine's first; the time without today's date."""
    today = f"{at or datetime.now(UTC):%Y-%m-%d} "
    for each in state.away:
        whom = brief(each.projection, 50) if each.projection else "The engine"
        since, events = rendering.cell(each.since).plain.removeprefix(today), counted(each.events, "event")
        waits = "waits" if each.events == 1 else "wait"
        text = f"{whom} is away since {since} ({brief(each.reason, 80)}): {events} {waits}"
        yield Text(text, style="bold red")


def _headline(state: "PipelineStatus") -> list[Text]:
    oldest = f", the oldest {rendering.age(state.oldest_age_seconds)} old" if state.lag else ""
    head = Text(f"Lag: {counted(state.lag, 'event')}{oldest}", style="bold")
    names = [each.name for each in state.shown]
    whose = "all projections" if len(names) > 1 else f"projection {''.join(names) or state.projection}"
    head.append(f"  ({whose})", "not bold dim")
    return [head] if state.chosen else [head, Text(f"Pace: {_pace(state)}")]


def _pace(state: "PipelineStatus") -> str:
    """Rates, and the time to drain; after an outage the times of the retries decide it, not the pace."""
    retries = ""
    if state.waiting_for_retry:
        last = rendering.age(state.retries_due_seconds)
        retries = f"; {state.waiting_for_retry:,} wait for a retry, the last is due in {last}"
    if state.circuit_open is None:
        return f"no worker is running{retries}"
    if state.rate_out is None:
        why = "nothing is delivered while the circuit is open" if state.circuit_open else "not measured yet"
        return why + retries
    rates = f"in {_rate(state.rate_in)}, out {_rate(state.rate_out)}"
    if state.drain_seconds is not None:
        return rates + (f", drained in {rendering.age(state.drain_seconds)}" if state.lag else "")
    # How long the changes take that wait may not be known yet; what is young is on its way.
    late = state.oldest_age_seconds > YOUNG
    never = late and not (state.circuit_open or retries or state.following)
    return rates + (", never drained at this pace" if never else retries)


def _projections(state: "PipelineStatus", most: int) -> list[Any]:
    """A line a projection, where any is declared, and a line a followed table for which events wait."""
    if not state.declared:
        return []
    both = [(each, ()) for each in state.shown] if state.chosen else [*families(state.shown)]
    rows = [_projection(row) for each, apart in both for row in (each, *apart)]
    title = _titled("Projections", rows, most)
    followed = _followed([each for each, _ in both], most)
    return [Group(_flat_table(title, PROJECTION_COLUMNS, rows[:most]), *map(Text, followed))]


def _projection(state: "ProjectionStatus") -> list[Any]:
    counts = (state.pending, state.processing, state.failed, state.stuck)
    oldest = rendering.age(state.oldest_age_seconds) if state.lag else None
    return [state.name, *(f"{count:,}" for count in counts), oldest]


def _followed(several: "Sequence[ProjectionStatus]", most: int) -> list[str]:
    """A line a followed table for which events wait, at most `most`."""
    lines = [_following(each.name, table) for each in several for table in each.following]
    more = [f"and {len(lines) - most:,} more followed tables"] if len(lines) > most else []
    return lines[:most] + more


def _following(projection: str, table: "Following") -> str:
    parts = [f"{table.events:,} waiting"]
    if table.keys_done:
        pace = f" ({_rate(table.keys_per_second)})" if table.keys_per_second else ""
        parts.append(f"{counted(table.keys_done, 'document')} found so far{pace}")
    if table.events_per_second:
        parts.append(f"{_rate(table.events_per_second)} expanded")
    if table.drain_seconds is not None:
        parts.append(f"expanded in {rendering.age(table.drain_seconds)}")
    elif table.events_per_second:
        parts.append("as many arrive")
    name = brief(table.table, 130) or "all documents"
    return f"following {name} for {brief(projection, 50)}: {', '.join(parts)}"


def _statuses(state: "PipelineStatus") -> Table:
    rows = [
        (status, f"about {count:,}" if status in state.estimated else f"{count:,}")
        for status, count in state.status.items()
    ]
    table = _flat_table("A  Status", ("status", "events"), rows)
    table.columns[1].justify = "right"
    return table


def _failed(state: "PipelineStatus", most: int) -> Table | None:
    several = len(state.shown) > 1
    found = [
        (*([each.name] if several else []), reason, f"{count:,}")
        for each in state.projections
        for reason, count in each.failed_by_reason.items()
    ]
    columns = ("projection", "reason", "events") if several else ("reason", "events")
    return _flat_table(_titled("Failed by reason", found, most), columns, found[:most]) if found else None


def _titled(title: str, rows: Sequence[object], most: int) -> str:
    return f"{title} ({most} of {len(rows)})" if len(rows) > most else title


def _worker(worker: "WorkerRow") -> list[Any]:
    age = worker.heartbeat_age_seconds
    heartbeat = None if age is None else rendering.age(age)
    in_flight, out = f"{worker.in_flight:,}", _rate(worker.rate_out if worker.alive else None)
    return [worker.worker_id, worker.host, heartbeat, in_flight, worker.outage_policy, out, worker.state]
