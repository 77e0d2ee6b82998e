"""Where a secret may go: to an endpoint that `.env` chooses only if `.env` holds the secret, too.

Whoever made the folder wrote its `.env`; the environment and the flags are the caller's.
Decision: docs/adr/0037-a-secret-goes-where-it-comes-from.md.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.net.urls import credentials
from outboxctl.settings import interpolation, libpq
from outboxctl.settings.model import Settings, env_names
from outboxctl.settings.origin import SettingsSource, places

TRUST = "trust_dotenv"
ADDRESS = "elastic_url"
ANCHORS = ("elastic_ca_certs", "elastic_fingerprint")  # whoever chooses these can stand in for the server
PATHS = ("elastic_ca_certs", "elastic_client_cert", "elastic_client_key")  # stay on this machine
Places = Mapping[str, SettingsSource]  # by field
Misplaced = tuple[str, SettingsSource]  # a secret in words, and what chooses where it would go


def check(found: Settings, flags: Mapping[str, Any]) -> None:
    """Raise UsageError for the first secret of the caller's that would go to an endpoint of `.env`'s."""
    at = places(flags)
    if _trusted(found, at):
        return
    for secret, end in chain(_to_sink(found, at), _to_database(found, at), _taken_in(at)):
        raise UsageError(
            f"{secret} would be sent to an endpoint that {end} chooses",
            hint=f"set {end.name} in the environment or by a flag, or the secret in .env; "
            f"if this folder's .env is to be trusted: export {env_names(TRUST)[0]}=1",
        )


def _trusted(found: Settings, at: Places) -> bool:
    """Whether the caller says so. UsageError where `.env` says it of itself."""
    if _of_dotenv(at.get(TRUST)):
        hint = "remove it there; export it if this folder's .env is to be trusted"
        raise UsageError(f"{at[TRUST]} counts for nothing: a file cannot vouch for itself", hint=hint)
    return found.trust_dotenv


def _to_sink(found: Settings, at: Places) -> Iterator[Misplaced]:
    secure = any(url.startswith("https:") for url in found.sink_urls)
    ends = [field for field in (ADDRESS, *(ANCHORS if secure else ())) if _of_dotenv(at.get(field))]
    callers = [field for field in _sent(found, secure=secure) if field in at and at[field].callers]
    for secret in callers:
        yield from ((str(at[secret]), at[end]) for end in ends if end != secret)


def _sent(found: Settings, *, secure: bool) -> Iterator[str]:
    """The secrets that the sink is shown, by field."""
    if any(map(credentials, found.sink_urls)):
        yield ADDRESS
    if found.elastic_api_key:
        yield "elastic_api_key"
    elif found.elastic_username:
        yield "elastic_password"
    if secure:
        yield from ("elastic_client_cert", "elastic_client_key")


def _to_database(found: Settings, at: Places) -> Iterator[Misplaced]:
    end = at.get("database_url")
    if end and end.dotenv:
        yield from ((secret, end) for secret in libpq.secrets(found.require_database_url()))


def _taken_in(at: Places) -> Iterator[Misplaced]:
    """Variables of the environment that `.env` writes into a value of its own: `${NAME}`."""
    written = {field: each for field, each in at.items() if each.dotenv}
    end = written.get(ADDRESS) or written.get("database_url")
    if end:
        sent = [each.name for field, each in written.items() if field not in PATHS and not each.path]
        for name, holder in interpolation.taken_in(sent):
            yield f"{name} in the environment, which {holder} in .env takes in,", end


def _of_dotenv(place: SettingsSource | None) -> bool:
    return place is not None and place.dotenv
