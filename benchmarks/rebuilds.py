"""A real `outboxctl rebuild`, followed from phase to phase: its time, CPU and memory."""

import subprocess
from collections.abc import Callable, Mapping
from time import perf_counter, sleep
from typing import NamedTuple

import psutil

from benchmarks.processes import begin
from outboxctl.core.schema.names import REBUILDS
from outboxctl.drills.bench.rig import SERVERS, Rig, must

BY = ("--by", "bench", "--reason", "bench", "--yes", "--json")
LOOK = 0.05  # seconds between two looks at the phase and at memory
PHASE = f"SELECT phase FROM {REBUILDS} ORDER BY started_at DESC LIMIT 1"
WHOSE = {"own": "own", "postgres": "PostgreSQL", "engine": "Elasticsearch"}


class Moment(NamedTuple):
    """A point in time, and the CPU seconds spent until then: its own, PostgreSQL's and the engine's."""

    at: float
    own: float
    postgres: float
    engine: float


class Filled(NamedTuple):
    """A rebuild: seconds of its fill and of the whole, the peak of its memory in MB, CPU of the fill in s."""

    seconds: float
    whole: float
    memory: float
    cpu: Mapping[str, float]


def rebuild(rig: Rig, *args: str, look: Callable[[], object] = lambda: None) -> Filled:
    """A rebuild from exec to exit; `look` is called while it fills."""
    began = perf_counter()
    with begin(rig, "rebuild", *BY, *args, stderr=subprocess.DEVNULL) as process:
        try:
            filled = _watched(rig, process, began, look)
        finally:
            process.kill()
    must(process.returncode == 0, f"rebuild exited with {process.returncode}")
    return filled


def _watched(rig: Rig, process: subprocess.Popen[str], began: float, look: Callable[[], object]) -> Filled:
    watched, peak, moments = psutil.Process(process.pid), 0, dict[str, Moment]()
    while process.poll() is None:
        peak = max(peak, watched.memory_info().rss)
        phase = _phase(rig)
        moments.setdefault(phase, _moment(rig, watched))
        if phase == "fill":
            look()
        sleep(LOOK)
    order = [*moments]
    must("fill" in order[:-1], f"the fill was not seen: {order}")
    one, other = moments["fill"], moments[order[order.index("fill") + 1]]
    cpu = {name: getattr(other, name) - getattr(one, name) for name in WHOSE}
    return Filled(other.at - one.at, perf_counter() - began, peak / 1e6, cpu)


def _phase(rig: Rig) -> str:
    with rig.database.begin() as connection:
        return str(connection.exec_driver_sql(PHASE).scalar())


def _moment(rig: Rig, watched: psutil.Process) -> Moment:
    times = watched.cpu_times()
    return Moment(perf_counter(), times.user + times.system, *(rig.cpu_seconds(name) for name in SERVERS))
