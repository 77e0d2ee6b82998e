"""Rules for the settings among themselves."""

import math
from collections.abc import Iterator

from outboxctl.domain import backoff
from outboxctl.operations.doctor.model import FindingSeverity, Said, rule
from outboxctl.operations.doctor.remedies import export
from outboxctl.settings import OutagePolicy, Settings

OUTAGE = 180.0  # seconds of an outage that an event should outlive: a restart of the search engine
EVERYWHERE = ("0.0.0.0", "::", "*")  # noqa: S104 - looked for, not listened on


@rule(
    "grace-too-short",
    FindingSeverity.WARNING,
    "A stop cuts off requests that were about to end; their events are sent again.",
)
def grace(_: object, settings: Settings) -> Iterator[Said]:
    """SIGTERM leaves less time than one request may take."""
    needed = settings.delivery_seconds
    if settings.shutdown_grace_seconds < needed:
        what = (
            f"A request may take {needed:g} s, the shutdown grace is {settings.shutdown_grace_seconds:g} s."
        )
        yield what, export("OUTBOX_SHUTDOWN_GRACE_SECONDS", float(math.ceil(needed + 2)))


@rule(
    "reclaim-late",
    FindingSeverity.WARNING,
    "Events of a dead worker wait longer for being found than for their lease to end.",
)
def reclaim(_: object, settings: Settings) -> Iterator[Said]:
    """Looking for stuck events less often than leases end."""
    if settings.reclaim_interval_seconds > settings.lease_seconds:
        what = (
            f"Stuck events are looked for every {settings.reclaim_interval_seconds:g} s; "
            f"a lease lasts {settings.lease_seconds:g} s."
        )
        yield what, export("OUTBOX_RECLAIM_INTERVAL_SECONDS", min(5.0, settings.lease_seconds))


@rule(
    "processing-below-lease",
    FindingSeverity.WARNING,
    "Events are taken from workers that still hold their lease, and sent twice.",
)
def processing(_: object, settings: Settings) -> Iterator[Said]:
    """Stuck by the one clock, held by the other."""
    if settings.max_processing_seconds < settings.lease_seconds:
        what = (
            f"Processing is stuck after {settings.max_processing_seconds:g} s; "
            f"a lease lasts {settings.lease_seconds:g} s."
        )
        yield what, export("OUTBOX_MAX_PROCESSING_SECONDS", max(600.0, 2 * settings.lease_seconds))


@rule(
    "backoff-upside-down",
    FindingSeverity.WARNING,
    "Every wait is the longest step: the first retry comes late, and none later.",
)
def upside_down(_: object, settings: Settings) -> Iterator[Said]:
    """A first step above the longest one."""
    base, cap = settings.base_backoff_seconds, settings.max_backoff_seconds
    if base > cap:
        yield (
            f"The first backoff is {base:g} s, the longest {cap:g} s.",
            export("OUTBOX_BASE_BACKOFF_SECONDS", cap / 8),
        )


@rule(
    "outage-too-long",
    FindingSeverity.WARNING,
    "A sink that is away for longer leaves every due event in failed, to be replayed.",
)
def outage(_: object, settings: Settings) -> Iterator[Said]:
    """Policy count, and attempts that are spent within three minutes."""
    base, cap = settings.base_backoff_seconds, settings.max_backoff_seconds
    survived = backoff.survives(settings.max_attempts, base=base, cap=cap)
    if settings.outage_policy is OutagePolicy.COUNT and survived < OUTAGE:
        what = f"Events survive an outage of the sink of about {survived:.0f} s."
        yield what, export("OUTBOX_OUTAGE_POLICY", "hold")


@rule(
    "sla-below-backoff",
    FindingSeverity.WARNING,
    "One retry's wait is enough for an alert, and for a worker not to be ready.",
)
def sla(_: object, settings: Settings) -> Iterator[Said]:
    """An SLA that a single wait breaks."""
    allowed, cap = settings.sla_oldest_age_seconds, settings.max_backoff_seconds
    if allowed < cap:
        what = f"The SLA is {allowed:g} s, one backoff up to {cap:g} s."
        yield what, export("OUTBOX_SLA_OLDEST_AGE_SECONDS", 10 * cap)


@rule(
    "metrics-open",
    FindingSeverity.INFO,
    "Whoever reaches this machine reads metrics and health; there is no password.",
)
def metrics(_: object, settings: Settings) -> Iterator[Said]:
    """Listening on every address."""
    if settings.metrics_host in EVERYWHERE:
        what = f"The worker's HTTP server listens on every address ({settings.metrics_host})."
        yield what, export("OUTBOX_METRICS_HOST", "127.0.0.1")


AMONG_THEMSELVES = (grace, reclaim, processing, upside_down, outage, sla, metrics)
