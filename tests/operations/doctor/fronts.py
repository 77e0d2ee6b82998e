"""A real sink behind a front that changes some of its answers: what cannot be had here of itself."""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fakes.script import Script
from fakes.sink import FakeSink
from fakes.store import Store
from outboxctl.drills.proxy.server import Upstream
from outboxctl.drills.proxy.wire import ProxyReply, ProxyRequest

Change = Callable[[ProxyRequest, ProxyReply], ProxyReply]


class Front:
    """Passes requests on, and changes the answers to those of a path, or that begin as it does before `*`."""

    def __init__(self, url: str, changes: Mapping[str, Change]) -> None:
        self._upstream, self._changes = Upstream(url), changes

    def answer(self, asked: ProxyRequest) -> ProxyReply:
        """Ask the real one, and change what it said."""
        reply = self._upstream.answer(asked)
        path = "/" + "/".join(asked.path)
        change = next((c for pattern, c in self._changes.items() if fnmatchcase(path, pattern)), None)
        return change(asked, reply) if change else reply


class TlsSink(FakeSink):
    """Speaks TLS."""

    def server_activate(self) -> None:
        super().server_activate()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert self.certificate
        context.load_cert_chain(self.certificate, self.certificate.with_suffix(".key"))
        self.socket = context.wrap_socket(self.socket, server_side=True)


@contextmanager
def front(url: str, changes: Mapping[str, Change], *, certificate: Path | None = None) -> Iterator[str]:
    """The URL of a front before `url`; https with a certificate (a PEM file beside its key)."""
    kind = TlsSink if certificate else FakeSink
    sink = kind(0, Script(), Store(), Front(url, changes).answer)
    sink.certificate = certificate
    sink.listen()
    try:
        yield sink.url.replace("http:", "https:") if certificate else sink.url
    finally:
        sink.close()


def says(status: int, body: Any) -> Change:
    """This answer, whatever the real one said."""
    return lambda _, reply: replace(reply, status=status, body=json.dumps(body).encode())


def merged(**fields: Any) -> Change:
    """The real answer with these fields in its place."""
    return lambda _, reply: replace(reply, body=json.dumps(json.loads(reply.body) | fields).encode())


def with_header(name: str, value: str | None) -> Change:
    """The real answer with this header; without it if the value is None."""
    return lambda _, reply: replace(reply, headers={**reply.headers, name: value})
