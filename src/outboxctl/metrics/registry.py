"""The metrics by the names of the contract; label values only from closed sets.

A fresh worker shows each metric at 0, in the few series that a dashboard or an alert needs; the other
combinations of op and reason appear when they are counted for the first time.
"""

from collections import Counter as Tally
from copy import copy
from typing import Any

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    make_wsgi_app,
)

from outboxctl.domain.failures import Noop, Reason, Verdict
from outboxctl.domain.lifecycle import OPS, PROJECTION

log = structlog.get_logger()

# By the key that callers use: the name, its help, and the labels besides `projection`. A name that ends with
# `_total` is a counter's, one with BUCKETS a histogram's, any other a gauge's.
METRICS: dict[str, tuple[str, ...]] = {
    "lag": ("outbox_lag_events", "Events pending or processing"),
    "oldest_age": ("outbox_oldest_age_seconds", "Age of the oldest event pending or processing"),
    "inflight": ("outbox_inflight_events", "Events that this worker holds"),
    "inflight_limit": ("outbox_inflight_limit_events", "Events in flight that the sink copes with (AIMD)"),
    "circuit_open": ("outbox_circuit_open", "1 while the circuit to the sink is open (outage policy hold)"),
    "notify_listening": (
        "outbox_notify_listening",
        "1 while this worker hears of new events at once (LISTEN), 0 while it only polls",
    ),
    "stuck": ("outbox_stuck_processing_events", "Events whose lease or processing time ran out"),
    "refreshed": (
        "outbox_gauges_refreshed_timestamp_seconds",
        "When this worker last read lag, oldest age and stuck events from the database",
    ),
    "last_success": ("outbox_last_success_timestamp_seconds", "When this worker last completed an event"),
    "processed": ("outbox_processed_total", "Events that became done", "op"),
    "failed": ("outbox_failed_total", "Deliveries that did not end in done", "op", "reason"),
    "retried": ("outbox_retry_scheduled_total", "Events put back with a next_retry_at", "op", "reason"),
    "terminal": ("outbox_terminal_failed_total", "Events that became failed", "op", "reason"),
    "reclaimed": ("outbox_reclaimed_total", "Stuck events taken back"),
    "lease_lost": ("outbox_lease_lost_total", "Events that were no longer ours when settled"),
    "version_base_raised": (
        "outbox_version_base_raised_total",
        "Times that the versions of documents were raised: a restored database, or a promoted standby",
    ),
    "version_ahead": (
        "outbox_version_ahead_total",
        "Events whose document is newer than their unchanged source row",
    ),
    "unexpected": (
        "outbox_unexpected_errors_total",
        "Errors of a worker that no rule expects; its log has the traceback",
    ),
    "noop": (
        "outbox_idempotent_noop_total",
        "Events, and documents of events for many, done without a write of their own",
        "op",
        "reason",
    ),
    "deletes": (
        "outbox_deletes_repeated_total",
        "Deletes sent again because an older write may have been late, by what they met",
        "result",
    ),
    "requests": ("outbox_es_bulk_requests_total", "Bulk requests by how they ended", "result"),
    "items": ("outbox_es_bulk_items_total", "Items of bulk requests", "op", "result"),
    "duration": ("outbox_es_bulk_request_duration_seconds", "Seconds of one bulk request"),
    "size": ("outbox_es_bulk_request_bytes", "Bytes of one bulk request"),
}
BUCKETS = {
    "duration": (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    "size": (1e4, 1e5, 2.5e5, 5e5, 1e6, 2.5e6, 5e6, 1e7, 2.5e7, 1e8),
}
# Gauges of the process, whichever projection it works for. Each projection has all other metrics.
OF_THE_PROCESS = {"inflight", "inflight_limit", "circuit_open", "notify_listening"}
BY_REASON = ("failed", "retried", "terminal")
Events = Tally[str]
# Series with labels that are at 0 from the start. `increase()` misses the value at which a series appears, so
# `terminal` has each reason that fails an event at its first attempt; any other reason appears at 0 when a
# delivery is first retried. The alerts sum the series of each worker, and need one.
OUTAGES = [(op, Reason.CONNECT) for op in OPS]
BAD_OP = ("other", Reason.DETERMINISTIC_EXCEPTION)
AT_ZERO: dict[str, list[tuple[str, ...]]] = {
    "processed": [(op,) for op in OPS],
    "failed": [*OUTAGES, BAD_OP],
    "retried": [*OUTAGES],
    "terminal": [
        ("upsert", Reason.MAPPING),
        ("upsert", Reason.BAD_REQUEST),
        ("upsert", Reason.BAD_DOCUMENT),
        ("upsert", Reason.PAYLOAD_TOO_LARGE),
        ("upsert", Reason.LEASE_EXPIRED),
        ("delete", Reason.BAD_REQUEST),
        BAD_OP,
    ],
    "noop": [("delete" if noop is Noop.DELETE_MISSING else "upsert", noop) for noop in Noop],
    "deletes": [("missing",), ("deleted",)],
    "requests": [("ok",)],
    "items": [(op, Verdict.DONE) for op in OPS],
}


class Metrics:
    """The metrics of one projection, at first the built-in one, in a registry of all. Thread-safe."""

    def __init__(self) -> None:
        self._by_projection: dict[str, Metrics] = {}
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the lines and are not used
        self._registry = CollectorRegistry()
        self._metrics = {key: self._made(key, *about) for key, about in METRICS.items()}
        self.page = make_wsgi_app(self._registry)  # `/metrics`
        self._projection = PROJECTION
        self.declare(PROJECTION)

    def declare(self, projection: str) -> None:
        """Show a projection that is in force at 0; it keeps its series for as long as this process lives."""
        if projection not in self._by_projection:
            other = copy(self)
            other._projection = projection
            other._start_at_zero()
            self._by_projection[projection] = other  # in one step: other threads read it

    @property
    def declared(self) -> list[str]:
        """The projections that were in force while this process lived, the built-in one not among them."""
        return [name for name in self._by_projection if name != PROJECTION]

    def of(self, projection: str) -> "Metrics":
        """The same metrics under the name of a declared projection; these for any other name."""
        return self._by_projection.get(projection, self)

    def count(self, key: str, count: int, *labels: str) -> None:
        """Count under a counter, with the labels that it has besides the projection."""
        self._series(key, *labels).inc(count)

    def not_done(self, outcome: str, op: str, reason: Reason, count: int) -> None:
        """Count deliveries that did not end in done: `retried`, `terminal`, or `held`, only not done."""
        for key in BY_REASON:
            series = self._series(key, op, reason)  # at 0 where it is new
            if key in ("failed", outcome):
                series.inc(count)

    def unexpected(self, thread: str, error: BaseException) -> None:
        """Log an error of a thread that no rule expects, and count it; the thread goes on."""
        log.error("unexpected error", thread=thread, error=f"{type(error).__name__}: {error}", exc_info=error)
        self.count("unexpected", 1)

    def request(self, result: str, seconds: float, size: int) -> None:
        """Count one bulk request by its result (`ok` or a reason), how long it took, and its bytes."""
        self._series("requests", result).inc()
        self._series("duration").observe(seconds)
        self._series("size").observe(size)

    def set(self, key: str, value: float) -> None:
        """Set a gauge."""
        self._series(key).set(value)

    def add(self, key: str, value: float) -> None:
        """Add to a gauge."""
        self._series(key).inc(value)

    def value(self, key: str) -> float:
        """The value of a gauge, of all projections together."""
        samples = (s for family in self._metrics[key].collect() for s in family.samples)
        return float(sum(sample.value for sample in samples))

    def totals(self) -> dict[str, Events]:
        """Events so far that were `done`, `retried` and `failed` for good, the latter two by reason."""
        counters = {"done": "processed", "retried": "retried", "failed": "terminal"}
        return {name: _events(self._metrics[key]) for name, key in counters.items()}

    def snapshot(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def families(self) -> list[tuple[str, str, list[str], str]]:
        """Name, type, labels and help of every metric, for the reference page."""
        return [
            (
                f.name + ("_total" if f.type == "counter" else ""),
                f.type,
                list(f.samples[0].labels),
                f.documentation,
            )
            for f in self._registry.collect()
        ]

    def _start_at_zero(self) -> None:
        for key, (_, _, *labels) in METRICS.items():
            if self._projection == PROJECTION or key not in OF_THE_PROCESS:
                for values in AT_ZERO[key] if labels else [()]:
                    self._series(key, *values)

    def _series(self, key: str, *values: str) -> Any:
        return self._metrics[key].labels(self._projection, *map(str, values))

    def _made(self, key: str, name: str, text: str, *labels: str) -> Any:
        names, kind = ["projection", *labels], Counter if name.endswith("_total") else Gauge
        if key in BUCKETS:
            return Histogram(name, text, names, registry=self._registry, buckets=BUCKETS[key])
        return kind(name.removesuffix("_total"), text, names, registry=self._registry)


def _events(counter: Counter) -> Events:
    """The counts by reason; `_created` samples are no counts."""
    counts = Events()
    for sample in (sample for family in counter.collect() for sample in family.samples):
        if sample.name.endswith("_total") and sample.value:
            counts[sample.labels.get("reason", "")] += int(sample.value)
    return counts
