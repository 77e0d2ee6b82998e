"""Rules for the settings: among themselves, their connections, and the limits of both servers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from outboxctl.core.inspect.server import ConnectionLink
from outboxctl.domain import backoff
from outboxctl.net.urls import credentials, local, parse_url
from outboxctl.operations.doctor.model import INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import export, size
from outboxctl.settings import NotifyPolicy, OutagePolicy, Settings

OUTAGE = 180.0  # seconds of an outage that an event should outlive: a restart of the search engine
EVERYWHERE = ("0.0.0.0", "::", "*")  # noqa: S104 - looked for, not listened on
CLEAR = ("disable", "allow", "prefer")  # values of sslmode that accept an unencrypted connection

SETTINGS = RuleGroup("settings among themselves")
FIT = RuleGroup("settings against both ends")


@SETTINGS.rule("grace-too-short", WARNING)
def grace(_: object, settings: Settings) -> Iterator[Case]:
    """A stop cuts off requests that were about to end; their events are sent again."""
    needed = settings.delivery_seconds
    if settings.shutdown_grace_seconds < needed:
        what = (
            f"A request may take {needed:g} s, the shutdown grace is {settings.shutdown_grace_seconds:g} s."
        )
        yield what, export("OUTBOX_SHUTDOWN_GRACE_SECONDS", float(math.ceil(needed + 2)))


@SETTINGS.rule("reclaim-late", WARNING)
def reclaim(_: object, settings: Settings) -> Iterator[Case]:
    """Events of a dead worker wait longer for being found than for their lease to end."""
    if settings.reclaim_interval_seconds > settings.lease_seconds:
        what = (
            f"Stuck events are looked for every {settings.reclaim_interval_seconds:g} s; "
            f"a lease lasts {settings.lease_seconds:g} s."
        )
        yield what, export("OUTBOX_RECLAIM_INTERVAL_SECONDS", min(5.0, settings.lease_seconds))


@SETTINGS.rule("processing-below-lease", WARNING)
def processing(_: object, settings: Settings) -> Iterator[Case]:
    """Events are taken from workers that still hold their lease, and sent twice."""
    if settings.max_processing_seconds < settings.lease_seconds:
        what = (
            f"Processing is stuck after {settings.max_processing_seconds:g} s; "
            f"a lease lasts {settings.lease_seconds:g} s."
        )
        yield what, export("OUTBOX_MAX_PROCESSING_SECONDS", max(600.0, 2 * settings.lease_seconds))


@SETTINGS.rule("backoff-upside-down", WARNING)
def upside_down(_: object, settings: Settings) -> Iterator[Case]:
    """Every wait is the longest step: the first retry comes late, and none later."""
    base, cap = settings.base_backoff_seconds, settings.max_backoff_seconds
    if base > cap:
        what = f"The first backoff is {base:g} s, the longest {cap:g} s."
        yield what, export("OUTBOX_BASE_BACKOFF_SECONDS", cap / 8)


@SETTINGS.rule("outage-too-long", WARNING)
def outage(_: object, settings: Settings) -> Iterator[Case]:
    """After a longer outage every due event is in failed, and has to be replayed."""
    base, cap = settings.base_backoff_seconds, settings.max_backoff_seconds
    survived = backoff.survives(settings.max_attempts, base=base, cap=cap)
    if settings.outage_policy is OutagePolicy.COUNT and survived < OUTAGE:
        what = f"Events survive an outage of the sink of about {survived:.0f} s."
        yield what, export("OUTBOX_OUTAGE_POLICY", "hold")


@SETTINGS.rule("sla-below-backoff", WARNING)
def sla(_: object, settings: Settings) -> Iterator[Case]:
    """One retry's wait is enough for an alert, and for a worker not to be ready."""
    allowed, cap = settings.sla_oldest_age_seconds, settings.max_backoff_seconds
    if allowed < cap:
        what = f"The SLA is {allowed:g} s, one backoff up to {cap:g} s."
        yield what, export("OUTBOX_SLA_OLDEST_AGE_SECONDS", 10 * cap)


@SETTINGS.rule("metrics-open", INFO)
def metrics(_: object, settings: Settings) -> Iterator[Case]:
    """Whoever reaches this machine reads metrics and health; there is no password."""
    if settings.metrics_host in EVERYWHERE:
        what = f"The worker's HTTP server listens on every address ({settings.metrics_host})."
        yield what, export("OUTBOX_METRICS_HOST", "127.0.0.1")


@SETTINGS.rule("sink-in-clear", WARNING)
def sink_in_clear(_: object, settings: Settings) -> Iterator[Case]:
    """Anybody on the network path can read the password or API key, and the documents."""
    secret = settings.elastic_api_key or settings.elastic_username
    for url in settings.sink_urls:
        parts = parse_url(url)
        if parts.scheme == "http" and (secret or credentials(url)) and not local(str(parts.hostname)):
            what = f"Credentials go to {parts.hostname} over plain http."
            yield what, export("ELASTIC_URL", f"https://{parts.hostname}:{parts.port}")


@SETTINGS.rule("database-in-clear", WARNING)
def database_in_clear(link: ConnectionLink | None, _: Settings) -> Iterator[Case]:
    """The connection may be unencrypted, and then anybody on the way reads and changes it."""
    for host in link.hosts if link and link.sslmode in CLEAR else ():
        if not host.startswith("/") and not local(host):
            what = f"sslmode is {link.sslmode if link else ''} for the database at {host}."
            yield what, "export PGSSLMODE=verify-full  # or ?sslmode=require at the end of DATABASE_URL"


@dataclass(frozen=True)
class Fit:
    """What was learned of both ends; None or empty where it could not be.

    `ahead` are ids of documents whose version is above their source row's. `notified`: inserts notify, so
    a worker listens by one connection more.
    """

    connections_left: int | None = None
    document_bytes: float = 0.0
    request_limit: int = 0
    ahead: list[str] = field(default_factory=list)
    notified: bool = False


@FIT.rule("connections-short", WARNING)
def connections(fit: Fit, settings: Settings) -> Iterator[Case]:
    """A worker waits for connections and is not ready, or others are refused."""
    others = 3 + (fit.notified and settings.notify is NotifyPolicy.AUTO)
    needed, left = settings.concurrency + others, fit.connections_left
    if left is not None and left < needed:
        what = f"A worker opens up to {needed} connections; the database has {max(left, 0)} left."
        yield what, export("OUTBOX_CONCURRENCY", max(1, left - others))


@FIT.rule("batch-too-large", WARNING)
def batch(fit: Fit, settings: Settings) -> Iterator[Case]:
    """Each batch is refused (413) and sent again in halves."""
    usual = min(settings.bulk_size * fit.document_bytes, settings.max_batch_bytes)
    if fit.request_limit and usual > fit.request_limit:
        what = (
            f"A batch holds {size(usual)} of documents, more than "
            f"the {size(fit.request_limit)} that the sink takes at once."
        )
        yield what, export("OUTBOX_MAX_BATCH_BYTES", max(1, fit.request_limit // 2))


@FIT.rule("index-ahead", WARNING)
def ahead(fit: Fit, _: Settings) -> Iterator[Case]:
    """The index refuses the source row as older: versions began again, or somebody else writes to it."""
    if fit.ahead:
        what = f"{len(fit.ahead)} documents are ahead of their source rows, {fit.ahead[0]} for one."
        yield what, "outboxctl verify  # finds all of them; a rebuild writes what the source rows hold"
