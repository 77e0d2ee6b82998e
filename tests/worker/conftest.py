"""Sinks that misbehave in ways that a real one cannot be made to show."""

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
from urllib.parse import urlsplit

import pytest

from servers import Servers

SLOW = 1.0  # seconds a bulk request is held before it is passed on


class Handler(BaseHTTPRequestHandler):
    """Passes requests on to the real sink; holds bulk requests as long as `hold` says."""

    upstream: str
    hold: float
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "_bulk" in self.path:
            sleep(self.hold)
        upstream = HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "content-length"}}
        upstream.request(self.command, self.path, body, headers)
        reply = upstream.getresponse()
        content = reply.read()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in {"content-length", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815 - the base class dispatches by these names

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


def proxy(upstream: str, hold: float) -> Iterator[str]:
    handler = type("Held", (Handler,), {"upstream": upstream, "hold": hold})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def slow_sink(servers: Servers) -> Iterator[str]:
    """The real sink, each bulk request a second late."""
    yield from proxy(servers.sink, SLOW)


@pytest.fixture
def silent_sink(servers: Servers) -> Iterator[str]:
    """The real sink, but a bulk request gets no answer while a test lasts."""
    yield from proxy(servers.sink, 3600)
