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
    fresh = f"time() - {REFRESHED} < {FRESH * limits.minute:g}"
    return f"max {EACH} ({name} and {fresh})"


def since(name: str) -> str:
    """Seconds since the latest time that any worker has noted."""
    return f"time() - max {EACH} ({name})"


def grown(name: str, minutes: float, limits: Limits) -> str:
    """By how much a counter of all workers grew; a restart of one is seen and made up for."""
    return f"sum {EACH} (increase({name}[{duration(minutes * limits.minute)}]))"


def up(limits: Limits) -> str:
    """1 a worker that Prometheus reaches, 0 one that it does not."""
    return f"up{{job={json.dumps(limits.job)}}}"
