"""How a client proves who it is and whom it trusts."""

from base64 import b64encode
from typing import Any

from outboxctl.errors import UsageError
from outboxctl.settings import Settings
from outboxctl.urls import credentials


def security(settings: Settings) -> dict[str, Any]:
    """The client's options for that. Raises UsageError for what cannot be read or sent."""
    urls = settings.sink_urls
    if not (settings.elastic_ca_certs and any(url.startswith("https:") for url in urls)):
        return _login(settings, urls)
    _read(settings.elastic_ca_certs)  # the client itself reads them at its first request
    return _login(settings, urls) | {"ca_certs": settings.elastic_ca_certs}


def unusable(error: Exception) -> UsageError:
    """What to say of settings that a client cannot be made of."""
    return UsageError(
        f"the sink's client cannot be set up: {type(error).__name__}",
        hint="check ELASTIC_URL (each server once, all http or all https), "
        "ELASTIC_CA_CERTS (a readable PEM file) and ELASTIC_API_KEY or ELASTIC_USERNAME",
    )


def _read(path: str) -> None:
    import ssl  # noqa: PLC0415 - takes a moment, and http does without

    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        raise unusable(error) from None


def _login(settings: Settings, urls: list[str]) -> dict[str, Any]:
    if settings.elastic_api_key:
        return {"api_key": settings.elastic_api_key.get_secret_value()}
    if settings.elastic_username:
        password = settings.elastic_password
        return _basic(settings.elastic_username, password.get_secret_value() if password else "")
    inside = next(filter(None, map(credentials, urls)), None)
    return _basic(*inside) if inside else {}


def _basic(user: str, password: str) -> dict[str, Any]:
    try:
        together = f"{user}:{password}".encode()  # the client itself would refuse all but ASCII
    except UnicodeEncodeError as error:
        raise unusable(error) from None
    return {"basic_auth": b64encode(together).decode()}
