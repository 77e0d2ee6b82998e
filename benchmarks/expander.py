"""The worker's expander alone: how fast it finds the keys behind follow events, and writes their events."""

from time import perf_counter

from outboxctl.core.schema.names import EVENTS
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.lanes import NullSink
from outboxctl.drills.bench.rig import Rig
from outboxctl.metrics.registry import Metrics
from outboxctl.worker.health import Health
from outboxctl.worker.parts import WorkerParts

# Those that are done already are many, by statistics of an empty table: never read them again.
CLAIM = f"""
SET LOCAL enable_seqscan = off;
UPDATE {EVENTS} SET status = 'done' WHERE status = 'pending' AND follow IS NULL
"""


def seconds_alone(rig: Rig, patience: float = float("inf")) -> float:
    """Seconds of its transactions until no follow event waits, or `patience` seconds have passed.

    Between two of them all key events are done, as if lanes had delivered them; that is not timed.
    """
    expander = WorkerParts(rig.settings, rig.database, NullSink(), Metrics(), Health(0)).expander
    seconds, began = 0.0, perf_counter()
    end = began + patience
    while began < end and expander.step():
        seconds += perf_counter() - began
        tables.execute(rig, CLAIM)
        began = perf_counter()
    return seconds
