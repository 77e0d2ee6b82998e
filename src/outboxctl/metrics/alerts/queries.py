"""Prometheus queries of the alerts, for given limits."""

import json
from dataclasses import dataclass

MINUTE = 60.0  # seconds
# One outbox. `namespace` is a label in Kubernetes only, and harmless elsewhere.
EACH = "by (job, namespace, projection)"
REFRESHED = "outbox_gauges_refreshed_timestamp_seconds"
FRESH = 3  # minutes: a worker reads the gauges each 30 s at the least, however large the table


@dataclass(frozen=True)
class AlertLimits:
    """The limits of the alerts, and queries with them; ages are in seconds, `job` is that of the workers."""

    oldest_age: float = 300.0
    failed_growth: int = 10
    job: str = "outboxctl"

    def of_job(self, name: str) -> str:
        """A metric. Two outboxes with two jobs have two rule files, each with limits of its own."""
        return f"{name}{{job={json.dumps(self.job)}}}"

    def gauge(self, name: str, which: str = "max") -> str:
        """A gauge of the database, without workers that have lost it: these repeat their last value."""
        fresh = f"time() - {self.of_job(REFRESHED)} < {FRESH * MINUTE:g}"
        return f"{which} {EACH} ({self.of_job(name)} and {fresh})"

    def since(self, name: str) -> str:
        """Seconds since the latest of the workers' timestamps."""
        return f"time() - max {EACH} ({self.of_job(name)})"

    def without_success(self, seconds: float, which: str = "max") -> str:
        """There is a lag, and the latest success of any worker is older than `seconds`.

        `which`: whether one worker's lag is enough (`max`), or all must have some (`min`). An idle outbox has
        no success, but no lag either. Prometheus' value of a success may be a scrape and an evaluation old.
        """
        last = self.since("outbox_last_success_timestamp_seconds")
        return f"{self.gauge('outbox_lag_events', which)} > 0\nand {last} > {seconds:g}"

    def grown(self, name: str, minutes: float) -> str:
        """By how much a counter of all workers grew, restarts included.

        Each worker's series are summed first: most of them appear when they are first counted, and
        `increase()` misses the value at which a series appears. The sum exists from the worker's start.
        """
        window = duration(minutes * MINUTE)
        return f"sum {EACH} (increase((sum without (op, reason) ({self.of_job(name)}))[{window}:15s]))"

    def counted(self, name: str, minutes: float) -> str:
        """How often something was counted within that time, also before a worker's first scrape.

        `increase()` cannot see that: the counter's first value is above 0 already. Such a series was not
        there `minutes` ago.
        """
        series = self.of_job(name)
        new = f"sum {EACH} ({series} unless {series} offset {duration(minutes * MINUTE)})"
        return f"{self.grown(name, minutes)} > 0\nor {new} > 0"


def duration(seconds: float) -> str:
    """A duration in Prometheus' notation, to the millisecond: 300 is `5m`, 1.5 is `1500ms`."""
    milliseconds = max(1, round(seconds * 1000))
    for size, unit in ((3_600_000, "h"), (60_000, "m"), (1000, "s")):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"
