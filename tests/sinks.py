"""Sinks that misbehave in ways that a real one cannot be made to show."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
from urllib.parse import urlsplit


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


@contextmanager
def proxy(upstream: str, hold: float, port: int = 0) -> Iterator[str]:
    """A proxy in front of a sink that holds each bulk request for `hold` seconds."""
    handler = type("Held", (Handler,), {"upstream": upstream, "hold": hold})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
