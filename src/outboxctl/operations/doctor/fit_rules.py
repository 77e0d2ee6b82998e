"""Rules for the settings against the world: the ways to both ends, and what both ends allow."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from outboxctl.core.inspect.server import ConnectionLink
from outboxctl.net.urls import credentials, parse_url
from outboxctl.operations.doctor.model import FindingSeverity, RuleGroup, Said, rule
from outboxctl.operations.doctor.remedies import export, size
from outboxctl.operations.doctor.settings_rules import AMONG_THEMSELVES
from outboxctl.settings import NotifyPolicy, Settings

CLEAR = ("disable", "allow", "prefer")


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


@rule(
    "sink-in-clear",
    FindingSeverity.WARNING,
    "Everybody on the way reads the password or API key, and the documents.",
)
def sink_in_clear(_: object, settings: Settings) -> Iterator[Said]:
    """Credentials over http to another machine."""
    secret = settings.elastic_api_key or settings.elastic_username
    for url in settings.sink_urls:
        parts = parse_url(url)
        if parts.scheme == "http" and (secret or credentials(url)) and not local(str(parts.hostname)):
            what = f"Credentials go to {parts.hostname} over plain http."
            yield what, export("ELASTIC_URL", f"https://{parts.hostname}:{parts.port}")


@rule(
    "database-in-clear",
    FindingSeverity.WARNING,
    "The connection may be unencrypted, and then anybody on the way reads and changes it.",
)
def database_in_clear(link: ConnectionLink | None, _: Settings) -> Iterator[Said]:
    """No sslmode that insists, to another machine."""
    for host in link.hosts if link and link.sslmode in CLEAR else ():
        if not host.startswith("/") and not local(host):
            what = f"sslmode is {link.sslmode if link else ''} for the database at {host}."
            yield what, "export PGSSLMODE=verify-full  # or ?sslmode=require at the end of DATABASE_URL"


def local(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@rule(
    "connections-short",
    FindingSeverity.WARNING,
    "A worker waits for connections and is not ready, or others are refused.",
)
def connections(fit: Fit, settings: Settings) -> Iterator[Said]:
    """Fewer connections left than one more worker would open."""
    others = 3 + (fit.notified and settings.notify is NotifyPolicy.AUTO)
    needed, left = settings.concurrency + others, fit.connections_left
    if left is not None and left < needed:
        what = f"A worker opens up to {needed} connections; the database has {max(left, 0)} left."
        yield what, export("OUTBOX_CONCURRENCY", max(1, left - others))


@rule("batch-too-large", FindingSeverity.WARNING, "Each batch is refused (413) and sent again in halves.")
def batch(fit: Fit, settings: Settings) -> Iterator[Said]:
    """An average batch above the sink's limit for a request."""
    usual = min(settings.bulk_size * fit.document_bytes, settings.max_batch_bytes)
    if fit.request_limit and usual > fit.request_limit:
        what = (
            f"A batch holds {size(usual)} of documents, more than "
            f"the {size(fit.request_limit)} that the sink takes at once."
        )
        yield what, export("OUTBOX_MAX_BATCH_BYTES", max(1, fit.request_limit // 2))


@rule(
    "index-ahead",
    FindingSeverity.WARNING,
    "The index refuses the source row as older: versions began again, or somebody else writes to it.",
)
def ahead(fit: Fit, _: Settings) -> Iterator[Said]:
    """Documents of a sample that are newer than their source rows."""
    if fit.ahead:
        what = f"{len(fit.ahead)} documents are ahead of their source rows, {fit.ahead[0]} for one."
        yield what, "outboxctl verify  # finds all of them; a rebuild takes the source rows' word"


SETTINGS = RuleGroup("settings among themselves", (*AMONG_THEMSELVES, sink_in_clear, database_in_clear))
FIT = RuleGroup("settings against both ends", (connections, batch, ahead))
