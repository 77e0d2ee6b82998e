"""What the alerts ask Prometheus, by the names of the metrics."""

import json

from outboxctl.metrics.alerts.model import AlertLimits
from outboxctl.metrics.alerts.rules import duration

# One outbox. `namespace` is there where Kubernetes is, and costs nothing where it is not.
EACH = "by (job, namespace, projection)"
REFRESHED = "outbox_gauges_refreshed_timestamp_seconds"
FRESH = 3  # minutes: a worker reads the gauges each 30 s at the least, however large the table


def gauge(name: str, limits: AlertLimits, which: str = "max") -> str:
    """What the database was last seen to hold; a worker that has lost it repeats what it once saw."""
    fresh = f"time() - {_of_job(REFRESHED, limits)} < {FRESH * limits.minute:g}"
    return f"{which} {EACH} ({_of_job(name, limits)} and {fresh})"


def since(name: str, limits: AlertLimits) -> str:
    """Seconds since the latest time that any worker has noted."""
    return f"time() - max {EACH} ({_of_job(name, limits)})"


def no_success(seconds: float, limits: AlertLimits, which: str = "max") -> str:
    """Events are under way, and the latest success of any worker is older than that.

    `which`: whether one worker's gauge of them is enough (`max`), or all must have some (`min`).
    A success breaks off the waiting of its alert; an idle outbox has none, but no lag either.
    What Prometheus knows of a success may be a scrape and an evaluation old, however short the limit.
    """
    last = since("outbox_last_success_timestamp_seconds", limits)
    return f"{gauge('outbox_lag_events', limits, which)} > 0\nand {last} > {seconds:g}"


def grown(name: str, minutes: float, limits: AlertLimits) -> str:
    """By how much a counter of all workers grew; a restart of one is seen and made up for.

    Each worker's series are added up first: most of them appear when they are first counted, and
    `increase()` misses the value at which a series appears. The sum is there from the worker's start.
    """
    window, step = duration(minutes * limits.minute), duration(limits.minute / 4)
    return f"sum {EACH} (increase((sum without (op, reason) ({_of_job(name, limits)}))[{window}:{step}]))"


def highest(name: str, minutes: float, limits: AlertLimits) -> str:
    """The highest that a gauge of any worker was within that time."""
    return f"max {EACH} (max_over_time({_of_job(name, limits)}[{duration(minutes * limits.minute)}]))"


def up(limits: AlertLimits) -> str:
    """1 a worker that Prometheus reaches, 0 one that it does not."""
    return _of_job("up", limits)


def _of_job(name: str, limits: AlertLimits) -> str:
    """Two outboxes with two jobs have two rule files, each with limits of its own."""
    return f"{name}{{job={json.dumps(limits.job)}}}"
