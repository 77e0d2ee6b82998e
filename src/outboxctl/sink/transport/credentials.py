"""How the client authenticates, and which servers it trusts."""

from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from outboxctl.domain.errors import UsageError
from outboxctl.domain.redaction import add_login
from outboxctl.net.certificates import SINK, Files
from outboxctl.net.urls import credentials
from outboxctl.settings import Settings

if TYPE_CHECKING:
    from ssl import SSLContext

    from outboxctl.sink.transport.connection import Pin


class Security(NamedTuple):
    """The Authorization header; for TLS, a context, or what is pinned in place of it."""

    authorization: str | None
    context: "SSLContext | None" = None
    pin: "Pin | None" = None


def security(settings: Settings) -> Security:
    """Read it from the settings. UsageError for what cannot be read or sent, or does not fit together."""
    urls = [urlsplit(url) for url in settings.sink_urls]
    secure = {url.scheme == "https" for url in urls}
    if len(secure) > 1 and (files(settings) or settings.elastic_fingerprint):
        raise _unusable("certificates are set, and not all URLs are https")
    trusted = _trusted(settings) if True in secure else (None, None)
    return Security(_authorization(settings), *trusted)


def files(settings: Settings) -> Files:
    """The PEM files that the settings name."""
    return Files(SINK, settings.elastic_ca_certs, settings.elastic_client_cert, settings.elastic_client_key)


def passing_on(settings: Settings) -> Files:
    """The same for the fault proxy. UsageError where they name a fingerprint, which it cannot go by."""
    if settings.elastic_fingerprint:
        hint = "set ELASTIC_CA_CERTS in its place"
        raise UsageError("the fault proxy cannot go by ELASTIC_FINGERPRINT", hint=hint)
    return files(settings)


def _trusted(settings: Settings) -> tuple["SSLContext | None", "Pin | None"]:
    """Trust the named CAs alone, else the system's; with a fingerprint, only what has that."""
    if not settings.elastic_fingerprint:
        return files(settings).context(), None
    if settings.elastic_ca_certs:
        hint = "a fingerprint does without a CA: unset one of them"
        raise UsageError("both ELASTIC_CA_CERTS and ELASTIC_FINGERPRINT are set", hint=hint)
    from outboxctl.sink.transport.connection import Pin  # noqa: PLC0415 - ssl takes a moment, and http does without

    return None, Pin(settings.elastic_fingerprint, files(settings))


def _authorization(settings: Settings) -> str | None:
    if settings.elastic_api_key:
        return f"ApiKey {settings.elastic_api_key.get_secret_value()}"
    if settings.elastic_username:
        password = settings.elastic_password
        return _basic(settings.elastic_username, password.get_secret_value() if password else "")
    login = next(filter(None, map(credentials, settings.sink_urls)), None)
    return _basic(*login) if login else None


def _basic(user: str, password: str) -> str:
    add_login(user, password)
    try:
        login = f"{user}:{password}".encode()
    except UnicodeEncodeError:
        raise _unusable("user or password is no text") from None
    return f"Basic {b64encode(login).decode()}"


def _unusable(why: str) -> UsageError:
    return UsageError(
        f"the sink's client cannot be set up: {why}",
        hint="check ELASTIC_URL (all http or all https), and ELASTIC_API_KEY or ELASTIC_USERNAME",
    )
