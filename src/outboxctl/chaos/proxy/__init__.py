"""An HTTP proxy in front of the sink that can hold bulk requests."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PER_HOP = {"connection", "transfer-encoding", "content-length"}


class Gate:
    """Holds requests until it is let go."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.reached, self.open = threading.Event(), threading.Event()

    def wait(self, within: float) -> bool:
        """Whether a request has come here."""
        return self.reached.wait(within)


class Proxy(ThreadingHTTPServer):
    """Passes everything through, on a free port of 127.0.0.1, until its block ends."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream)
        self.gates: list[Gate] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> "Proxy":
        """Begin to serve."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Serve no more."""
        self.shutdown()
        self.server_close()

    @contextmanager
    def hold(self, point: str) -> Iterator[Gate]:
        """Hold every bulk request that comes to this point until the block ends."""
        gate = Gate(point)
        self.gates.append(gate)
        try:
            yield gate
        finally:
            self.gates.remove(gate)
            gate.open.set()

    def pause(self, point: str) -> None:
        """Stop here as long as a gate says so."""
        for gate in [gate for gate in self.gates if gate.point == point]:
            gate.reached.set()
            gate.open.wait()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        bulk = self.path.partition("?")[0].endswith("/_bulk")
        if bulk:
            self.server.pause("before apply")
        to = self.server.upstream
        with closing(http.client.HTTPConnection(to.hostname or "", to.port, timeout=60)) as connection:
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            answer = response.read()
        if bulk:
            self.server.pause("after apply")
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in PER_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - dispatched by these names

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002
