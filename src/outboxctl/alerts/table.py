"""Every alert there is, and why each is put the way it is (docs/adr/0023-a-page-is-a-symptom.md)."""

import json

from outboxctl.alerts.model import Alert, Limits, Severity
from outboxctl.alerts.rules import duration

# One outbox. `namespace` is there where Kubernetes is, and costs nothing where it is not.
EACH = "by (job, namespace, projection)"
REFRESHED = "outbox_gauges_refreshed_timestamp_seconds"
FRESH = 3  # minutes: a worker reads the gauges each 30 s at the least, however large the table
WINDOW = 5  # minutes in which failures are counted: what `check` and lab 6 have
RARE = 15  # minutes in which one is enough
LEAST_RETRIES = 20  # fewer are no storm, however few events are delivered beside them


def alerts(limits: Limits) -> list[Alert]:
    """All alerts, pages first."""
    return [*_pages(limits), *_tickets(limits)]


def _pages(limits: Limits) -> list[Alert]:
    minute, quiet = limits.minute, limits.oldest_age / 5
    # No worker is up, or Prometheus knows of none at all.
    gone = f"sum by (job, namespace) ({_up(limits)}) == 0 or absent({_up(limits)})"
    stale = f"time() - max {EACH} ({REFRESHED}) > {FRESH * minute:g}"
    # Some success within the SLA breaks off the waiting. An idle outbox has no success, and no lag.
    silent = (
        f"{_gauge('outbox_lag_events', limits)} > 0\n"
        f"and time() - max {EACH} (outbox_last_success_timestamp_seconds) > {quiet:g}"
    )
    return [
        _page(
            "OutboxWorkerGone",
            gone,
            2 * minute,
            "No worker of {{ $labels.job }} is up",
            "Nothing is delivered. Read the last lines of its log for what ended it, then start it again.",
        ),
        _page(
            "OutboxMetricsStale",
            stale,
            2 * minute,
            "No worker has read the database for {{ $value | humanizeDuration }}",
            "Workers are up, but their database is not: see /readyz of one, then the database itself.",
        ),
        _page(
            "OutboxNoSuccess",
            silent,
            limits.oldest_age,
            "{{ $value }} events wait, and none has been delivered within the SLA",
            "See what /readyz of a worker and `outboxctl status` name: the sink, the database, or neither.",
        ),
        _page(
            "OutboxOldestAgeOverSla",
            f"{_gauge('outbox_oldest_age_seconds', limits)} > {limits.oldest_age:g}",
            minute,
            "The oldest event has waited for {{ $value | humanizeDuration }}",
            "Run `outboxctl status`: too few workers for the load, or single events that do not get through?",
        ),
        _page(
            "OutboxTerminalFailures",
            f"{_grown('outbox_terminal_failed_total', WINDOW, limits)} > {limits.failed_growth}",
            minute,
            'Terminal failures surge: {{ $value | printf "%.0f" }} events within 5 minutes',
            "Run `outboxctl failed list`. An outage under the policy `count` spends attempts: "
            "mend the sink first, then replay.",
        ),
    ]


def _tickets(limits: Limits) -> list[Alert]:
    minute = limits.minute
    retries = _grown("outbox_retry_scheduled_total", 2, limits)
    # A window shorter than the waiting: what was over at once is no storm.
    storm = f"{retries} > {LEAST_RETRIES}\nand {retries} > {_grown('outbox_processed_total', 2, limits)}"
    return [
        _ticket(
            "OutboxWorkerGone",
            f"{_up(limits)} == 0",
            5 * minute,
            "Worker {{ $labels.instance }} does not answer",
            "Others may do its work: see `outboxctl status`. Restart it, or take it off Prometheus' list.",
        ),
        _ticket(
            "OutboxTerminalFailures",
            f"{_grown('outbox_terminal_failed_total', WINDOW, limits)} > 0",
            minute,
            "Events failed for good",
            "Their documents are missing or old. Run `outboxctl failed list`, mend the cause, replay.",
        ),
        _ticket(
            "OutboxStuck",
            f"{_gauge('outbox_stuck_processing_events', limits)} > 0",
            FRESH * minute,  # not before a worker that has lost the database is no longer listened to
            "{{ $value }} events are stuck and nobody reclaims them",
            "Run `outboxctl stuck`. Mostly somebody's open transaction holds a lock on their rows.",
        ),
        _ticket(
            "OutboxRetryStorm",
            storm,
            5 * minute,
            "More deliveries are retried than succeed",
            "Run `outboxctl status`: the sink is overloaded or ill, and attempts are being spent.",
        ),
        _ticket(
            "OutboxCircuitOpen",
            # With few events workers take turns at the probe, and whoever finds nothing due closes its own.
            f"max {EACH} (max_over_time(outbox_circuit_open[{duration(minute)}])) == 1",
            3 * minute,
            "The circuit to the sink is open: it takes nothing, and events wait",
            "See /readyz of the worker for what the sink says. No attempt is spent; do not restart workers.",
        ),
        _ticket(
            "OutboxLeaseLost",
            f"{_grown('outbox_lease_lost_total', RARE, limits)} > 0",
            minute,
            "A worker was too late: its events were somebody else's when it settled",
            "Harmless once. Often: OUTBOX_LEASE_SECONDS is too short, or a machine stops now and then.",
        ),
        _ticket(
            "OutboxVersionAhead",
            f"{_grown('outbox_version_ahead_total', RARE, limits)} > 0",
            minute,
            "The index holds newer versions than the database",
            "Run `outboxctl verify`: entities made anew with lower versions, or somebody else writes there.",
        ),
    ]


def _gauge(name: str, limits: Limits) -> str:
    """What the database was last seen to hold; a worker that has lost it repeats what it once saw."""
    fresh = f"time() - {REFRESHED} < {FRESH * limits.minute:g}"
    return f"max {EACH} ({name} and {fresh})"


def _grown(name: str, minutes: float, limits: Limits) -> str:
    return f"sum {EACH} (increase({name}[{duration(minutes * limits.minute)}]))"


def _up(limits: Limits) -> str:
    return f"up{{job={json.dumps(limits.job)}}}"


def _page(name: str, expr: str, wait: float, summary: str, first: str) -> Alert:
    return Alert(name, Severity.PAGE, expr, wait, summary, first)


def _ticket(name: str, expr: str, wait: float, summary: str, first: str) -> Alert:
    return Alert(name, Severity.TICKET, expr, wait, summary, first)
