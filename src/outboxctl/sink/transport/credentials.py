"""How a client proves who it is and whom it trusts."""

from base64 import b64encode
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.domain.redaction import add_login
from outboxctl.net.certificates import SINK, Files
from outboxctl.net.urls import credentials
from outboxctl.settings import Settings


def security(settings: Settings) -> dict[str, Any]:
    """The client's options for that. Raises UsageError for what cannot be read or sent."""
    urls = settings.sink_urls
    return _login(settings, urls) | (_trust(settings) if any(map(_secure, urls)) else {})


def unusable(error: Exception) -> UsageError:
    """What to say of settings that a client cannot be made of."""
    return UsageError(
        f"the sink's client cannot be set up: {type(error).__name__}",
        hint="check ELASTIC_URL (each server once, all http or all https), "
        "and ELASTIC_API_KEY or ELASTIC_USERNAME",
    )


def files(settings: Settings) -> Files:
    """The PEM files that the settings name."""
    return Files(SINK, settings.elastic_ca_certs, settings.elastic_client_cert, settings.elastic_client_key)


def passing_on(settings: Settings) -> Files:
    """The same for the fault proxy. UsageError where they name a fingerprint, which it cannot go by."""
    if settings.elastic_fingerprint:
        hint = "set ELASTIC_CA_CERTS in its place"
        raise UsageError("the fault proxy cannot go by ELASTIC_FINGERPRINT", hint=hint)
    return files(settings)


def _trust(settings: Settings) -> dict[str, Any]:
    """A context of our own trusts the named CAs alone; the client would trust the system's beside them."""
    pinned = settings.elastic_fingerprint
    if pinned and settings.elastic_ca_certs:
        hint = "a fingerprint does without a CA: unset one of them"
        raise UsageError("both ELASTIC_CA_CERTS and ELASTIC_FINGERPRINT are set", hint=hint)
    own = files(settings)
    context = {"ssl_context": own.context()} if own else {}
    return context | ({"ssl_assert_fingerprint": pinned} if pinned else {})


def _secure(url: str) -> bool:
    return url.startswith("https:")


def _login(settings: Settings, urls: list[str]) -> dict[str, Any]:
    if settings.elastic_api_key:
        return {"api_key": settings.elastic_api_key.get_secret_value()}
    if settings.elastic_username:
        password = settings.elastic_password
        return _basic(settings.elastic_username, password.get_secret_value() if password else "")
    inside = next(filter(None, map(credentials, urls)), None)
    return _basic(*inside) if inside else {}


def _basic(user: str, password: str) -> dict[str, Any]:
    add_login(user, password)  # the header holds both in base64
    try:
        together = f"{user}:{password}".encode()  # the client itself would refuse all but ASCII
    except UnicodeEncodeError as error:
        raise unusable(error) from None
    return {"basic_auth": b64encode(together).decode()}
