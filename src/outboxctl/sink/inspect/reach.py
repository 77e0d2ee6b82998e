"""Which of the sink's URLs answer: a worker takes them in turns, and meets each that does not."""

from contextlib import suppress
from dataclasses import dataclass

from outboxctl.domain.errors import RefusedError, UnreachableError
from outboxctl.net.urls import mask
from outboxctl.settings import Settings
from outboxctl.sink.inspect.product import root
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect


@dataclass(frozen=True)
class Reached:
    """A client of the first URL that answers, and what became of those (masked) that do not."""

    client: Client
    away: dict[str, str]


def reach(settings: Settings, *, timeout: float) -> Reached:
    """Ask at each URL, `timeout` seconds each. UnreachableError if none answers.

    UsageError where no client can be made of the settings.
    """
    urls = settings.sink_urls
    clients = {url: connect(settings, connections=1, timeout=timeout, only=url) for url in urls}
    silence = {url: _silence(client) for url, client in clients.items()}
    answering = [client for url, client in clients.items() if silence[url] is None]
    away = {mask(url): str(error) for url, error in silence.items() if error}
    for client in clients.values():
        if client not in answering[:1]:
            client.close()
    if not answering:
        first = next(error for error in silence.values() if error)
        raise type(first)("; ".join(f"{url}: {error}" for url, error in away.items()), hint=first.hint)
    return Reached(answering[0], away)


def _silence(client: Client) -> UnreachableError | None:
    try:
        with suppress(RefusedError):  # an answer all the same
            root(client)
    except UnreachableError as error:
        return error
    return None
