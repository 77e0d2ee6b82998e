"""What answers at ELASTIC_URL, by `GET /`."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from outboxctl.domain.errors import RefusedError, UnreachableError
from outboxctl.domain.failures import Answer
from outboxctl.net.urls import mask
from outboxctl.settings import Settings
from outboxctl.sink.engines import OPENSEARCH, SERVERLESS, Identity, Vectors, identity
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect
from outboxctl.sink.transport.reply import NOT_FOUND, body_of
from outboxctl.sink.transport.request import failure


def product(client: Client) -> Identity:
    """Send `GET /`, which Serverless does not know: whom it lets in gets 404. Raises as `request`."""
    if client.engine is SERVERLESS:
        answer = body_of(client.root())
        if isinstance(answer, Answer) and answer.status == NOT_FOUND:
            return Identity(OPENSEARCH.name, "", "", OPENSEARCH)
    return identity(*root(client))


def vectors(client: Client) -> Vectors:
    """As the server that answers maps them, or its product for a role that may not ask for the version."""
    try:
        return product(client).vectors
    except RefusedError:
        return client.engine.vectors


def root(client: Client) -> tuple[Any, Mapping[str, str]]:
    """Body and headers of GET /. Raises as `request`."""
    reply = client.root()
    body = body_of(reply)
    if isinstance(body, Answer) or isinstance(reply, Answer):  # the second for the type checker
        raise failure(body)
    return body, reply.headers


@dataclass(frozen=True)
class Reached:
    """A client of the URLs that answer, and why those (masked) do not that are unreachable."""

    client: Client
    away: dict[str, str]


def reach(settings: Settings, *, timeout: float) -> Reached:
    """Ask at all URLs at once, `timeout` seconds each. UnreachableError if none answers; UsageError."""
    urls = settings.sink_urls
    clients = [connect(settings, connections=1, timeout=timeout, only=[url]) for url in urls]
    with ThreadPoolExecutor(len(urls)) as pool:
        errors = dict(zip(urls, pool.map(_error, clients), strict=True))
    answering = [url for url in urls if errors[url] is None]
    if not answering:
        first = next(error for error in errors.values() if error)
        raise type(first)("; ".join(str(error) for error in errors.values()), hint=first.hint)
    away = {mask(url): str(error) for url, error in errors.items() if error}
    return Reached(connect(settings, connections=1, timeout=timeout, only=answering), away)


def _error(client: Client) -> UnreachableError | None:
    try:
        with closing(client), suppress(RefusedError):  # an answer all the same
            root(client)
    except UnreachableError as error:
        return error
    return None
