"""A client for whichever product answers: Elasticsearch's, until somebody else turns out to be there."""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Answer
from outboxctl.sink.transport.client import INSTALL, WRONG_PRODUCT, Client, SinkReply
from outboxctl.sink.transport.wall_clock import LEAST, SEEN, within

NO_CLIENT = replace(WRONG_PRODUCT, text=f"OpenSearch answers, and its client is not installed: {INSTALL}")


class EitherClient:
    """See `Client`. Nothing is asked beforehand, so a sink that is away is met as with one client alone.

    Elasticsearch names itself in every answer. Only if one comes without that name is `GET /` asked; if
    OpenSearch says that it is there, its client takes over, and the request goes to it again.
    """

    def __init__(self, elastic: Client, opensearch: Callable[[], Client]) -> None:
        self._client, self._opensearch = elastic, opensearch
        self._known = False
        self._lock = threading.Lock()  # whoever meets it first changes the client for all

    @property
    def product(self) -> str:
        """See `Client`; who was met last."""
        return self._client.product

    @property
    def version(self) -> tuple[int, ...]:
        """See `Client`."""
        return self._client.version

    @property
    def where(self) -> str:
        """See `Client`."""
        return self._client.where

    def send(self, method: str, path: str, params: Mapping[str, str], body: Any) -> SinkReply | Answer:
        """See `Client`. All that is sent for it together keeps within the time of one request."""
        if self._known:
            return self._client.send(method, path, params, body)
        started, seconds, asked = monotonic(), SEEN.seconds, self._client
        reply = asked.send(method, path, params, body)
        if isinstance(reply, SinkReply) and "x-elastic-product" in reply.headers:
            self._known = self._known or reply.ok  # a refusal may be something's in between
        elif isinstance(reply, SinkReply) or reply is WRONG_PRODUCT:
            return self._again(
                asked, reply, lambda: _seconds_left(seconds, started), (method, path, params, body)
            )
        return reply

    def root(self) -> SinkReply | Answer:
        """See `Client`."""
        return self._client.root()

    def close(self) -> None:
        """See `Client`."""
        self._client.close()

    def _again(
        self,
        asked: Client,
        reply: SinkReply | Answer,
        left: Callable[[], float | None],
        request: tuple[Any, ...],
    ) -> SinkReply | Answer:
        """What the other product says to it, if that is who is there.

        Whoever does not know yet asks: to wait for another's question could take longer than the lease.
        """
        if self._client is asked:
            with _bounded(left()):
                there = _is_opensearch(asked.root())
            if not there:
                return reply
            try:
                self._switch(asked)
            except ImportError:
                return NO_CLIENT
        seconds = left()
        if seconds is not None and seconds <= 0:
            return reply
        with _bounded(seconds):
            return self._client.send(*request)

    def _switch(self, asked: Client) -> None:
        """ImportError where the other client is not installed."""
        with self._lock:
            if self._client is asked:
                self._client, self._known = self._opensearch(), True


def _seconds_left(seconds: float | None, started: float) -> float | None:
    return None if seconds is None else seconds - (monotonic() - started)


def _bounded(seconds: float | None) -> AbstractContextManager[None]:
    return nullcontext() if seconds is None else within(max(seconds, LEAST))


def _is_opensearch(root: SinkReply | Answer) -> bool:
    version = (
        root.body.get("version") if isinstance(root, SinkReply) and isinstance(root.body, dict) else None
    )
    return isinstance(version, dict) and version.get("distribution") == "opensearch"
