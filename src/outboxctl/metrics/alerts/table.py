"""Every alert: a page is a symptom, a ticket a cause or a loss."""

from outboxctl.metrics.alerts.model import Alert, AlertLimits, AlertSeverity
from outboxctl.metrics.alerts.queries import (
    FRESH,
    REFRESHED,
    counted,
    gauge,
    grown,
    highest,
    no_success,
    since,
    up,
)

WINDOW = 5  # minutes in which failures are counted: as in `check` and lab 6
RARE = 15  # minutes in which one is enough
STORM = 2  # minutes: shorter than the waiting, so that what was over at once is no storm
LEAST_RETRIES = 20  # fewer are no storm, however few events are delivered beside them


def alerts(limits: AlertLimits) -> list[Alert]:
    """All alerts, pages first; three tickets have the name of a page."""
    return [*_pages(limits), *_tickets(limits)]


def _pages(limits: AlertLimits) -> list[Alert]:
    """The search is, or will soon be, wrong; the most complete standstill first."""
    page, minute = AlertSeverity.PAGE, limits.minute
    return [
        Alert(  # no worker of the job is up, or Prometheus has no target of it
            "OutboxWorkerGone",
            page,
            f"sum by (job, namespace) ({up(limits)}) == 0 or absent({up(limits)})",
            2 * minute,
            "No worker of {{ $labels.job }} is up",
            "Nothing is delivered. Read the last lines of its log for what ended it, then start it again.",
        ),
        Alert(  # even the freshest gauges are old
            "OutboxMetricsStale",
            page,
            f"{since(REFRESHED, limits)} > {FRESH * minute:g}",
            2 * minute,
            "No worker has read the database for {{ $value | humanizeDuration }}",
            "Workers are up, but their database is not: see /readyz of one, then the database itself.",
        ),
        Alert(
            "OutboxNoSuccess",
            page,
            no_success(max(limits.oldest_age / 5, minute / 2), limits),
            max(limits.oldest_age, minute),
            "{{ $value }} events wait, and none has been delivered within the SLA",
            "See what /readyz of a worker and `outboxctl status` name: the sink, the database, or neither.",
        ),
        Alert(
            "OutboxOldestAgeOverSla",
            page,
            f"{gauge('outbox_oldest_age_seconds', limits)} > {limits.oldest_age:g}",
            minute,
            "The oldest event has waited for {{ $value | humanizeDuration }}",
            "Run `outboxctl status`: too few workers for the load, or single events that do not get through?",
        ),
        Alert(
            "OutboxTerminalFailures",
            page,
            f"{grown('outbox_terminal_failed_total', WINDOW, limits)} > {limits.failed_growth}",
            minute,
            'Terminal failures surge: {{ $value | printf "%.0f" }} events within 5 minutes',
            "Run `outboxctl failed list`. An outage under the policy `count` spends attempts: "
            "repair the sink first, then replay.",
        ),
    ]


def _tickets(limits: AlertLimits) -> list[Alert]:
    """A cause, or a loss that cannot grow: the next morning is early enough."""
    ticket, minute = AlertSeverity.TICKET, limits.minute
    retries = grown("outbox_retry_scheduled_total", STORM, limits)
    return [
        Alert(
            "OutboxWorkerGone",
            ticket,
            f"{up(limits)} == 0",
            5 * minute,
            "Worker {{ $labels.instance }} does not answer",
            "Others may do its work: see `outboxctl status`. Restart it, or take it off Prometheus' list.",
        ),
        # Fires some two minutes after the last success. All workers must see a lag: one that has lost the
        # database repeats an old one for longer than that.
        Alert(
            "OutboxNoSuccess",
            ticket,
            no_success(max(limits.no_success * 0.75, minute / 2), limits, "min"),
            max(limits.no_success, minute),
            "{{ $value }} events wait, and none is being delivered",
            "See what /readyz of a worker and `outboxctl doctor` name. The policy `count` spends attempts.",
        ),
        Alert(
            "OutboxTerminalFailures",
            ticket,
            f"{grown('outbox_terminal_failed_total', WINDOW, limits)} > 0",
            minute,
            "Events failed for good",
            "Their documents are missing or old. Run `outboxctl failed list`, remove the cause, replay.",
        ),
        Alert(  # the wait outlasts the gauges of a worker that has lost the database
            "OutboxStuck",
            ticket,
            f"{gauge('outbox_stuck_processing_events', limits)} > 0",
            FRESH * minute,
            "{{ $value }} events are stuck and nobody reclaims them",
            "Run `outboxctl stuck`. Mostly somebody's open transaction holds a lock on their rows.",
        ),
        Alert(
            "OutboxRetryStorm",
            ticket,
            f"{retries} > {LEAST_RETRIES}\nand {retries} > {grown('outbox_processed_total', STORM, limits)}",
            5 * minute,
            "More deliveries are retried than succeed",
            "Run `outboxctl status`: the sink is overloaded or failing, and attempts are being spent.",
        ),
        # With few events workers take turns at the probe, and one that finds nothing due closes its circuit.
        Alert(
            "OutboxCircuitOpen",
            ticket,
            f"{highest('outbox_circuit_open', 1, limits)} == 1",
            3 * minute,
            "The circuit to the sink is open: it takes no writes, and events wait",
            "See /readyz of the worker for the reason. No attempt is spent; do not restart workers.",
        ),
        Alert(
            "OutboxLeaseLost",
            ticket,
            f"{grown('outbox_lease_lost_total', RARE, limits)} > 0",
            minute,
            "A worker settled too late: its events had been reclaimed",
            "Harmless once. Often: OUTBOX_LEASE_SECONDS is too short, or a machine stops now and then.",
        ),
        Alert(
            "OutboxVersionAhead",
            ticket,
            f"{grown('outbox_version_ahead_total', RARE, limits)} > 0",
            minute,
            "The index holds newer versions than the database",
            "Run `outboxctl verify`: entities made anew with lower versions, or somebody else writes there.",
        ),
        Alert(
            "OutboxUnexpectedErrors",
            ticket,
            f"{grown('outbox_unexpected_errors_total', RARE, limits)} > 0",
            minute,
            "A worker met an error that no rule expects",
            "Read the lines `unexpected error` of the workers' logs: each has the thread and the traceback.",
        ),
        Alert(  # a worker does it at its start, mostly before it is scraped
            "OutboxVersionsRaised",
            ticket,
            counted("outbox_version_base_raised_total", RARE, limits),
            minute,
            "The database is not the one that wrote the index: restored, copied, or a promoted standby",
            "Run `outboxctl verify --repair`: of what the database lost nothing else corrects the index.",
        ),
    ]
