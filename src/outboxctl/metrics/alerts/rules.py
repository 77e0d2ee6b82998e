"""Every alert, a page for a symptom, a ticket for a cause or a loss; and the rule file of Prometheus."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from textwrap import indent

from outboxctl.metrics.alerts.queries import EACH, FRESH, MINUTE, REFRESHED, AlertLimits, duration

RUNBOOK = "https://outboxctl.readthedocs.io/en/latest/runbook/"
# Prometheus' default is a minute: the value of a success could then be a minute old at each evaluation.
INTERVAL = "15s"
HEAD = "# Made by `outboxctl alerts`; docs/alerts.md says how to install it."
RULE = """\
- alert: {name}
  expr: |-
{expr}
  for: {wait}
  labels:
    severity: {severity}
  annotations:
    summary: {summary}
    description: {first}
    explain: outboxctl explain {name}
    runbook_url: {runbook}
"""
WINDOW = 5  # minutes in which failures are counted: as in `check` and lab 6
RARE = 15  # minutes in which one is enough
STORM = 2  # minutes: shorter than the waiting, so that what was over at once is no storm
LEAST_RETRIES = 20  # fewer are no storm, however few events are delivered beside them


class AlertSeverity(StrEnum):
    """`page`: the search is, or will soon be, wrong. `ticket`: a cause or a loss that can wait a night."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True)
class Alert:
    """One rule, pending for `wait` seconds; `summary` and `first` (to do) may hold Prometheus' templates."""

    severity: AlertSeverity
    name: str
    expr: str
    wait: float
    summary: str
    first: str

    @property
    def anchor(self) -> str:
        """Its section of the runbook."""
        return self.name.lower()


def alerts(limits: AlertLimits) -> list[Alert]:
    """All alerts, pages first; three tickets have the name of a page."""
    return [*_pages(limits), *_tickets(limits)]


def _pages(limits: AlertLimits) -> list[Alert]:
    """The search is, or will soon be, wrong; the most complete standstill first."""
    page, up = partial(Alert, AlertSeverity.PAGE), limits.of_job("up")
    return [
        page(  # no worker of the job is up, or Prometheus has no target of it
            "OutboxWorkerGone",
            f"sum by (job, namespace) ({up}) == 0 or absent({up})",
            2 * MINUTE,
            "No worker of {{ $labels.job }} is up",
            "Nothing is delivered. Read the last lines of its log for what ended it, then start it again.",
        ),
        page(  # even the freshest gauges are old
            "OutboxMetricsStale",
            f"{limits.since(REFRESHED)} > {FRESH * MINUTE:g}",
            2 * MINUTE,
            "No worker has read the database for {{ $value | humanizeDuration }}",
            "Workers are up, but their database is not: see /readyz of one, then the database itself.",
        ),
        page(
            "OutboxNoSuccess",
            limits.without_success(max(limits.oldest_age / 5, MINUTE / 2)),
            max(limits.oldest_age, MINUTE),
            "{{ $value }} events wait, and none has been delivered within the SLA",
            "See what /readyz of a worker and `outboxctl status` name: the sink, the database, or neither.",
        ),
        page(
            "OutboxOldestAgeOverSla",
            f"{limits.gauge('outbox_oldest_age_seconds')} > {limits.oldest_age:g}",
            MINUTE,
            "The oldest event has waited for {{ $value | humanizeDuration }}",
            "Run `outboxctl status`: too few workers for the load, or single events that do not get through?",
        ),
        page(
            "OutboxTerminalFailures",
            f"{limits.grown('outbox_terminal_failed_total', WINDOW)} > {limits.failed_growth}",
            MINUTE,
            'Terminal failures surge: {{ $value | printf "%.0f" }} events within 5 minutes',
            "Run `outboxctl failed list`. An outage under the policy `count` spends attempts: "
            "repair the sink first, then replay.",
        ),
    ]


def _tickets(limits: AlertLimits) -> list[Alert]:
    """A cause, or a loss that cannot grow: the next morning is early enough."""
    ticket, up = partial(Alert, AlertSeverity.TICKET), limits.of_job("up")
    retries = limits.grown("outbox_retry_scheduled_total", STORM)
    return [
        ticket(
            "OutboxWorkerGone",
            f"{up} == 0",
            5 * MINUTE,
            "Worker {{ $labels.instance }} does not answer",
            "Others may do its work: see `outboxctl status`. Restart it, or take it off Prometheus' list.",
        ),
        # Fires some two minutes after the last success. All workers must see a lag: one that has lost the
        # database repeats an old one for longer than that.
        ticket(
            "OutboxNoSuccess",
            limits.without_success(45, "min"),
            MINUTE,
            "{{ $value }} events wait, and none is being delivered",
            "See what /readyz of a worker and `outboxctl doctor` name. The policy `count` spends attempts.",
        ),
        ticket(
            "OutboxTerminalFailures",
            f"{limits.grown('outbox_terminal_failed_total', WINDOW)} > 0",
            MINUTE,
            "Events failed for good",
            "Their documents are missing or old. Run `outboxctl failed list`, remove the cause, replay.",
        ),
        ticket(  # the wait outlasts the gauges of a worker that has lost the database
            "OutboxStuck",
            f"{limits.gauge('outbox_stuck_processing_events')} > 0",
            FRESH * MINUTE,
            "{{ $value }} events are stuck and nobody reclaims them",
            "Run `outboxctl stuck`. Mostly somebody's open transaction holds a lock on their rows.",
        ),
        ticket(
            "OutboxRetryStorm",
            f"{retries} > {LEAST_RETRIES}\nand {retries} > {limits.grown('outbox_processed_total', STORM)}",
            5 * MINUTE,
            "More deliveries are retried than succeed",
            "Run `outboxctl status`: the sink is overloaded or failing, and attempts are being spent.",
        ),
        # With few events workers take turns at the probe, and one that finds nothing due closes its circuit.
        ticket(
            "OutboxCircuitOpen",
            f"max {EACH} (max_over_time({limits.of_job('outbox_circuit_open')}[1m])) == 1",
            3 * MINUTE,
            "The circuit to the sink is open: it takes no writes, and events wait",
            "See /readyz of the worker for the reason. No attempt is spent; do not restart workers.",
        ),
        ticket(
            "OutboxLeaseLost",
            f"{limits.grown('outbox_lease_lost_total', RARE)} > 0",
            MINUTE,
            "A worker settled too late: its events had been reclaimed",
            "Harmless once. Often: OUTBOX_LEASE_SECONDS is too short, or a machine stops now and then.",
        ),
        ticket(
            "OutboxVersionAhead",
            f"{limits.grown('outbox_version_ahead_total', RARE)} > 0",
            MINUTE,
            "The index holds newer versions than the database",
            "Run `outboxctl verify`: entities made anew with lower versions, or somebody else writes there.",
        ),
        ticket(
            "OutboxUnexpectedErrors",
            f"{limits.grown('outbox_unexpected_errors_total', RARE)} > 0",
            MINUTE,
            "A worker met an error that no rule expects",
            "Read the lines `unexpected error` of the workers' logs: each has the thread and the traceback.",
        ),
        ticket(  # a worker does it at its start, mostly before it is scraped
            "OutboxVersionsRaised",
            limits.counted("outbox_version_base_raised_total", RARE),
            MINUTE,
            "The database is not the one that wrote the index: restored, copied, or a promoted standby",
            "Run `outboxctl verify --repair`: of what the database lost nothing else corrects the index.",
        ),
    ]


def rule_file(alerts: Sequence[Alert], runbook: str = RUNBOOK) -> str:
    """The file's text; `runbook` is the address of the page that has a section for each alert."""
    rules = "".join(_rule(alert, f"{runbook}#{alert.anchor}") for alert in alerts)
    group = f"  - name: outboxctl\n    interval: {INTERVAL}\n    rules:\n"
    return f"{HEAD}\ngroups:\n{group}{indent(rules, ' ' * 6)}"


def _rule(alert: Alert, runbook: str) -> str:
    texts = {"summary": alert.summary, "first": alert.first, "runbook": runbook}
    quoted = {name: json.dumps(text, ensure_ascii=False) for name, text in texts.items()}
    return RULE.format(
        name=alert.name,
        severity=alert.severity,
        expr=indent(alert.expr, " " * 4),
        wait=duration(alert.wait),
        **quoted,
    )
