"""Where faults and load may be caused: in databases that are marked as something else than production."""

from contextlib import closing
from ipaddress import ip_address

from outboxctl.core.database import Database, host_of
from outboxctl.core.schema import marker
from outboxctl.domain.errors import UsageError
from outboxctl.net.urls import mask, parse_url
from outboxctl.settings import Settings

ALLOWED = ("dev", "test", "sandbox")
SURE = "add --yes-this-is-not-production if you are sure"
UNKNOWN = (
    "if it is not production, say what it is: export OUTBOX_ENV=dev (or test, sandbox), "
    "and `outboxctl db upgrade` writes it into the database"
)


def local(url: str) -> bool:
    """Whether a URL's host is this machine, by its name alone, without a look-up."""
    return here(parse_url(url).hostname or "")


def allow(settings: Settings, what: str, *, sure: bool) -> None:
    """Raise UsageError unless `what` (`stop the sink`) may be done to this database and this sink.

    Decided by the database's marker, or OUTBOX_ENV where there is none, or no DATABASE_URL. `sure`: they
    may be on other machines. UnreachableError where the marker cannot be read.
    """
    if settings.read_only:
        raise UsageError(f"OUTBOX_READ_ONLY is set: refusing to {what}", hint="unset it if you mean to")
    marked, far = _read_marker(settings)
    environment = marked or settings.environment
    if environment is None:
        raise UsageError(f"nothing says that this is not production: refusing to {what}", hint=UNKNOWN)
    if environment not in ALLOWED:
        raise UsageError(f"this is {environment}: refusing to {what}", hint="that is for other systems")
    far += [mask(url) for url in settings.sink_urls if not local(url)]
    if far and not sure:
        raise UsageError(f"not on this machine: {', '.join(far)}: refusing to {what}", hint=SURE)


def _read_marker(settings: Settings) -> tuple[str | None, list[str]]:
    """The database's marker, and its name if it is on another machine."""
    if settings.database_url is None:
        return None, []
    with closing(Database(settings.require_database_url(), connections=1)) as db, db.begin() as connection:
        environment = marker.read(connection)
        if environment is not None:
            marker.check(connection, settings.environment, db.name)
        return environment, [] if here(host_of(connection)) else [db.name]


def here(host: str) -> bool:
    """Whether a host, or the folder of a socket, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith(("/", "@"))  # or a socket of this machine
