"""What waits for the morning: a cause, or a loss that cannot grow (docs/adr/0023-a-page-is-a-symptom.md)."""

from outboxctl.metrics.alerts.model import Alert, AlertLimits, AlertSeverity
from outboxctl.metrics.alerts.pages import WINDOW
from outboxctl.metrics.alerts.queries import FRESH, gauge, grown, highest, no_success, up

RARE = 15  # minutes in which one is enough
STORM = 2  # minutes: shorter than the waiting, so that what was over at once is no storm
LEAST_RETRIES = 20  # fewer are no storm, however few events are delivered beside them


def tickets(limits: AlertLimits) -> list[Alert]:
    """All of them; three have a page of the same name."""
    made = (_one_gone, _no_success, _failed, _stuck, _retries, _circuit, _lease_lost, _ahead)
    return [make(limits) for make in made]


def _one_gone(limits: AlertLimits) -> Alert:
    return Alert(
        "OutboxWorkerGone",
        AlertSeverity.TICKET,
        f"{up(limits)} == 0",
        5 * limits.minute,
        "Worker {{ $labels.instance }} does not answer",
        "Others may do its work: see `outboxctl status`. Restart it, or take it off Prometheus' list.",
    )


def _no_success(limits: AlertLimits) -> Alert:
    """It comes some two minutes after the last success.

    All workers must see a lag: one that has lost the database repeats an old one for longer than that.
    """
    return Alert(
        "OutboxNoSuccess",
        AlertSeverity.TICKET,
        no_success(max(limits.no_success * 0.75, limits.minute / 2), limits, "min"),
        max(limits.no_success, limits.minute),
        "{{ $value }} events wait, and none is being delivered",
        "See what /readyz of a worker and `outboxctl doctor` name. The policy `count` spends attempts.",
    )


def _failed(limits: AlertLimits) -> Alert:
    return Alert(
        "OutboxTerminalFailures",
        AlertSeverity.TICKET,
        f"{grown('outbox_terminal_failed_total', WINDOW, limits)} > 0",
        limits.minute,
        "Events failed for good",
        "Their documents are missing or old. Run `outboxctl failed list`, mend the cause, replay.",
    )


def _stuck(limits: AlertLimits) -> Alert:
    """It waits until a worker that has lost the database is no longer listened to."""
    return Alert(
        "OutboxStuck",
        AlertSeverity.TICKET,
        f"{gauge('outbox_stuck_processing_events', limits)} > 0",
        FRESH * limits.minute,
        "{{ $value }} events are stuck and nobody reclaims them",
        "Run `outboxctl stuck`. Mostly somebody's open transaction holds a lock on their rows.",
    )


def _retries(limits: AlertLimits) -> Alert:
    retries = grown("outbox_retry_scheduled_total", STORM, limits)
    return Alert(
        "OutboxRetryStorm",
        AlertSeverity.TICKET,
        f"{retries} > {LEAST_RETRIES}\nand {retries} > {grown('outbox_processed_total', STORM, limits)}",
        5 * limits.minute,
        "More deliveries are retried than succeed",
        "Run `outboxctl status`: the sink is overloaded or ill, and attempts are being spent.",
    )


def _circuit(limits: AlertLimits) -> Alert:
    """With few events workers take turns at the probe, and whoever finds nothing due closes its own."""
    return Alert(
        "OutboxCircuitOpen",
        AlertSeverity.TICKET,
        f"{highest('outbox_circuit_open', 1, limits)} == 1",
        3 * limits.minute,
        "The circuit to the sink is open: it takes nothing, and events wait",
        "See /readyz of the worker for the reason. No attempt is spent; do not restart workers.",
    )


def _lease_lost(limits: AlertLimits) -> Alert:
    return Alert(
        "OutboxLeaseLost",
        AlertSeverity.TICKET,
        f"{grown('outbox_lease_lost_total', RARE, limits)} > 0",
        limits.minute,
        "A worker was too late: its events were somebody else's when it settled",
        "Harmless once. Often: OUTBOX_LEASE_SECONDS is too short, or a machine stops now and then.",
    )


def _ahead(limits: AlertLimits) -> Alert:
    return Alert(
        "OutboxVersionAhead",
        AlertSeverity.TICKET,
        f"{grown('outbox_version_ahead_total', RARE, limits)} > 0",
        limits.minute,
        "The index holds newer versions than the database",
        "Run `outboxctl verify`: entities made anew with lower versions, or somebody else writes there.",
    )
