"""What wakes somebody: the search is, or will soon be, wrong (docs/adr/0023-a-page-is-a-symptom.md)."""

from outboxctl.metrics.alerts.model import Alert, AlertLimits, AlertSeverity
from outboxctl.metrics.alerts.queries import FRESH, REFRESHED, gauge, grown, no_success, since, up

WINDOW = 5  # minutes in which failures are counted: what `check` and lab 6 have


def pages(limits: AlertLimits) -> list[Alert]:
    """All of them, the most complete standstill first."""
    made = (_no_worker, _no_database, _no_success, _too_old, _failing)
    return [make(limits) for make in made]


def _no_worker(limits: AlertLimits) -> Alert:
    """None of the job is up, or Prometheus knows of none at all."""
    return Alert(
        "OutboxWorkerGone",
        AlertSeverity.PAGE,
        f"sum by (job, namespace) ({up(limits)}) == 0 or absent({up(limits)})",
        2 * limits.minute,
        "No worker of {{ $labels.job }} is up",
        "Nothing is delivered. Read the last lines of its log for what ended it, then start it again.",
    )


def _no_database(limits: AlertLimits) -> Alert:
    """Even the freshest gauges are old."""
    return Alert(
        "OutboxMetricsStale",
        AlertSeverity.PAGE,
        f"{since(REFRESHED, limits)} > {FRESH * limits.minute:g}",
        2 * limits.minute,
        "No worker has read the database for {{ $value | humanizeDuration }}",
        "Workers are up, but their database is not: see /readyz of one, then the database itself.",
    )


def _no_success(limits: AlertLimits) -> Alert:
    seldom, wait = max(limits.oldest_age / 5, limits.minute / 2), max(limits.oldest_age, limits.minute)
    return Alert(
        "OutboxNoSuccess",
        AlertSeverity.PAGE,
        no_success(seldom, limits),
        wait,
        "{{ $value }} events wait, and none has been delivered within the SLA",
        "See what /readyz of a worker and `outboxctl status` name: the sink, the database, or neither.",
    )


def _too_old(limits: AlertLimits) -> Alert:
    return Alert(
        "OutboxOldestAgeOverSla",
        AlertSeverity.PAGE,
        f"{gauge('outbox_oldest_age_seconds', limits)} > {limits.oldest_age:g}",
        limits.minute,
        "The oldest event has waited for {{ $value | humanizeDuration }}",
        "Run `outboxctl status`: too few workers for the load, or single events that do not get through?",
    )


def _failing(limits: AlertLimits) -> Alert:
    return Alert(
        "OutboxTerminalFailures",
        AlertSeverity.PAGE,
        f"{grown('outbox_terminal_failed_total', WINDOW, limits)} > {limits.failed_growth}",
        limits.minute,
        'Terminal failures surge: {{ $value | printf "%.0f" }} events within 5 minutes',
        "Run `outboxctl failed list`. An outage under the policy `count` spends attempts: "
        "mend the sink first, then replay.",
    )
