"""Rules for the settings: what contradicts another one, and connections in clear."""

import math
from collections.abc import Iterator

from outboxctl.core.inspect.server import ConnectionLink
from outboxctl.domain import backoff
from outboxctl.net.urls import credentials, local, parse_url
from outboxctl.operations.doctor.model import WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import export
from outboxctl.settings import OutagePolicy, Settings

OUTAGE = 180.0  # seconds of an outage that an event should outlive: a restart of the search engine
CLEAR = ("disable", "allow", "prefer")  # values of sslmode that accept an unencrypted connection

SETTINGS = RuleGroup("settings among themselves")


@SETTINGS.rule("grace-too-short", WARNING)
def grace(_: object, settings: Settings) -> Iterator[Case]:
    """A stop cuts off requests that were about to end; their events are sent again."""
    needed = settings.delivery_seconds
    if settings.shutdown_grace_seconds < needed:
        what = (
            f"A request may take {needed:g} s, the shutdown grace is {settings.shutdown_grace_seconds:g} s."
        )
        yield what, export("OUTBOX_SHUTDOWN_GRACE_SECONDS", float(math.ceil(needed + 2)))


@SETTINGS.rule("processing-below-lease", WARNING)
def processing(_: object, settings: Settings) -> Iterator[Case]:
    """Events are taken from workers that still hold their lease, and sent twice."""
    if settings.max_processing_seconds < settings.lease_seconds:
        what = (
            f"Processing is stuck after {settings.max_processing_seconds:g} s; "
            f"a lease lasts {settings.lease_seconds:g} s."
        )
        yield what, export("OUTBOX_MAX_PROCESSING_SECONDS", max(600.0, 2 * settings.lease_seconds))


@SETTINGS.rule("outage-too-long", WARNING)
def outage(_: object, settings: Settings) -> Iterator[Case]:
    """After a longer outage every due event is in failed, and has to be replayed."""
    base, cap = settings.base_backoff_seconds, settings.max_backoff_seconds
    survived = backoff.survives(settings.max_attempts, base=base, cap=cap)
    if settings.outage_policy is OutagePolicy.COUNT and survived < OUTAGE:
        what = f"Events survive an outage of the search engine of about {survived:.0f} s."
        yield what, export("OUTBOX_OUTAGE_POLICY", "hold")


@SETTINGS.rule("sink-in-clear", WARNING)
def sink_in_clear(_: object, settings: Settings) -> Iterator[Case]:
    """Anybody on the network path can read the password, API key or session token, and the documents."""
    secret = settings.elastic_api_key or settings.elastic_username or settings.aws_service
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
