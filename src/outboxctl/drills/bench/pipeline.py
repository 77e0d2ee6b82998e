"""E: the real `outboxctl worker --drain`, from its first claim to its last settle."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from outboxctl.drills.bench import process, tables
from outboxctl.drills.bench.process import ProcessRun
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.index import index_setup


@dataclass(frozen=True)
class EndToEnd:
    """Events a second; the run with all events, and a run with a single one.

    `start`: seconds from the line "worker started" of the run with a single event to its settle. In them it
    loads what the first batch needs, so they are part of every rate, and most of a short run's.
    """

    rate: float
    run: ProcessRun
    idle: ProcessRun
    start: float


def drain(rig: Rig, events: int, size: int, *, settle_ms: float) -> EndToEnd:
    """Fill the tables, drain them by a worker process, and count both sides.

    The clock runs from the worker's line "worker started", just before its first claim, to the
    newest `processed_at`. That is when the last settle began, so the median duration of a settle,
    as measured beside it with the null sink, is added.
    """
    idle = _idle(rig, size)
    start = tables.last_settle(rig) - idle.lanes_at
    rate, run = once(rig, events, size, settle_ms=settle_ms)
    return EndToEnd(rate, run, idle, start)


def once(rig: Rig, events: int, size: int, *, settle_ms: float) -> tuple[float, ProcessRun]:
    """The same without the run that has a single event."""
    tables.pending(rig, events, size)
    run = process.drain(rig)
    must(tables.done(rig) == events, "not every event is done")
    documents = index_setup.count(rig.client, rig.settings.elastic_index)
    must(documents == events, f"{documents} documents for {events} events")
    return events / (tables.last_settle(rig) + settle_ms / 1_000 - run.lanes_at), run


def cpu(repetitions: Sequence[EndToEnd], whose: str, events: int) -> list[float]:
    """Microseconds an event of `worker`, `postgres` or `engine`, less the start."""
    start = median(getattr(each.idle, whose) for each in repetitions)
    return [1e6 * (getattr(each.run, whose) - start) / events for each in repetitions]


def rate(rig: Rig, events: int, run: ProcessRun) -> float:
    """Events a second of a run that delivered so many, up to the start of its last settle."""
    return events / (tables.last_settle(rig) - run.lanes_at)


def _idle(rig: Rig, size: int) -> ProcessRun:
    """A run with one event: what starting and stopping cost, the loading of the sink's client included."""
    tables.pending(rig, 1, size)
    return process.drain(rig)
