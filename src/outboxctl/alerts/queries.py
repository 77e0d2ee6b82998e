"""What the alerts ask Prometheus, by the names of the metrics."""

import json

from outboxctl.alerts.model import Limits
from outboxctl.alerts.rules import duration

# One outbox. `namespace` is there where Kubernetes is, and costs nothing where it is not.
EACH = "by (job, namespace, projection)"
REFRESHED = "outbox_gauges_refreshed_timestamp_seconds"
FRESH = 3  # minutes: a worker reads the gauges each 30 s at the least, however large the table


def gauge(name: str, limits: Limits) -> str:
    """What the database was last seen to hold; a worker that has lost it repeats what it once saw."""
    fresh = f"time() - {_of_job(REFRESHED, limits)} < {FRESH * limits.minute:g}"
    return f"max {EACH} ({_of_job(name, limits)} and {fresh})"


def since(name: str, limits: Limits) -> str:
    """Seconds since the latest time that any worker has noted."""
    return f"time() - max {EACH} ({_of_job(name, limits)})"


def grown(name: str, minutes: float, limits: Limits) -> str:
    """By how much a counter of all workers grew; a restart of one is seen and made up for."""
    return f"sum {EACH} (increase({_of_job(name, limits)}[{duration(minutes * limits.minute)}]))"


def highest(name: str, minutes: float, limits: Limits) -> str:
    """The highest that a gauge of any worker was within that time."""
    return f"max {EACH} (max_over_time({_of_job(name, limits)}[{duration(minutes * limits.minute)}]))"


def up(limits: Limits) -> str:
    """1 a worker that Prometheus reaches, 0 one that it does not."""
    return _of_job("up", limits)


def _of_job(name: str, limits: Limits) -> str:
    """Two outboxes with two jobs have two rule files, each with limits of its own."""
    return f"{name}{{job={json.dumps(limits.job)}}}"
