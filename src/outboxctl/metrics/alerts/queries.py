"""Prometheus queries of the alerts."""

import json

from outboxctl.metrics.alerts.model import AlertLimits
from outboxctl.metrics.alerts.rules import duration

# One outbox. `namespace` is a label in Kubernetes only, and harmless elsewhere.
EACH = "by (job, namespace, projection)"
REFRESHED = "outbox_gauges_refreshed_timestamp_seconds"
FRESH = 3  # minutes: a worker reads the gauges each 30 s at the least, however large the table


def gauge(name: str, limits: AlertLimits, which: str = "max") -> str:
    """A gauge of the database, without workers that have lost it: these repeat their last value."""
    fresh = f"time() - {_of_job(REFRESHED, limits)} < {FRESH * limits.minute:g}"
    return f"{which} {EACH} ({_of_job(name, limits)} and {fresh})"


def since(name: str, limits: AlertLimits) -> str:
    """Seconds since the latest of the workers' timestamps."""
    return f"time() - max {EACH} ({_of_job(name, limits)})"


def no_success(seconds: float, limits: AlertLimits, which: str = "max") -> str:
    """There is a lag, and the latest success of any worker is older than `seconds`.

    `which`: whether one worker's lag is enough (`max`), or all must have some (`min`). An idle outbox has no
    success, but no lag either. Prometheus' value of a success may be a scrape and an evaluation old.
    """
    last = since("outbox_last_success_timestamp_seconds", limits)
    return f"{gauge('outbox_lag_events', limits, which)} > 0\nand {last} > {seconds:g}"


def grown(name: str, minutes: float, limits: AlertLimits) -> str:
    """By how much a counter of all workers grew, restarts included.

    Each worker's series are summed first: most of them appear when they are first counted, and `increase()`
    misses the value at which a series appears. The sum exists from the worker's start.
    """
    window, step = duration(minutes * limits.minute), duration(limits.minute / 4)
    return f"sum {EACH} (increase((sum without (op, reason) ({_of_job(name, limits)}))[{window}:{step}]))"


def counted(name: str, minutes: float, limits: AlertLimits) -> str:
    """How often something was counted within that time, also before a worker's first scrape.

    `increase()` cannot see that: the counter's first value is above 0 already. Such a series was not there
    `minutes` ago.
    """
    series = _of_job(name, limits)
    new = f"sum {EACH} ({series} unless {series} offset {duration(minutes * limits.minute)})"
    return f"{grown(name, minutes, limits)} > 0\nor {new} > 0"


def highest(name: str, minutes: float, limits: AlertLimits) -> str:
    """The highest value of a gauge of any worker within that time."""
    return f"max {EACH} (max_over_time({_of_job(name, limits)}[{duration(minutes * limits.minute)}]))"


def up(limits: AlertLimits) -> str:
    """1 for a worker that Prometheus can scrape, 0 for another."""
    return _of_job("up", limits)


def _of_job(name: str, limits: AlertLimits) -> str:
    """Two outboxes with two jobs have two rule files, each with limits of its own."""
    return f"{name}{{job={json.dumps(limits.job)}}}"
