"""The HTTP server that plays Elasticsearch, and misbehaves where its script says so."""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

from fakes import ndjson, wire
from fakes.backends import Asked, Backend, Memory, Upstream
from fakes.faults import DROP_BEFORE, Fault
from fakes.script import Bulk, Point, Script
from fakes.store import Store
from fakes.wire import Ending, Reply


class FakeSink(ThreadingHTTPServer):
    """Use `fake_sink()`. `requests` are the bulk requests, `lookups` all others; `store` is in memory."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, script: Script, store: Store, backend: Backend) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.script, self.store, self._backend = script, store, backend
        self.requests: list[Bulk] = []
        self.lookups: list[str] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[Any] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def serve(self, asked: Asked) -> tuple[Reply, Fault]:
        """What to answer, and how."""
        bulk = asked.path[-1] == "_bulk"
        fault = self.script.choose(self._record(asked)) if bulk else self.script.lookups
        if self.closing.wait(fault.before):
            return Reply(), DROP_BEFORE  # the test is over: nothing may be written any more
        if not bulk:
            self.lookups.append(f"{asked.method} {asked.target}")
            return fault.changed(self._backend.answer(asked)), fault
        self.script.pause(Point.BEFORE_APPLY)
        truth = self._apply(asked, fault) if fault.apply else Reply()
        self.script.pause(Point.AFTER_APPLY)
        self.closing.wait(fault.after)
        return fault.changed(truth), fault

    def _record(self, asked: Asked) -> Bulk:
        ids = tuple(action.id for action in ndjson.parse(asked.body))
        with self._lock:
            bulk = Bulk(len(self.requests), ids, len(asked.body), monotonic())
            self.requests.append(bulk)
        return bulk

    def _apply(self, asked: Asked, fault: Fault) -> Reply:
        """Pass on all items but those that the fault refuses, and put these back into the answer."""
        if not fault.items:
            return self._backend.answer(asked)
        actions = ndjson.parse(asked.body)
        kept = b"".join(action.raw for action in actions if action.id not in fault.items)
        reply = self._backend.answer(replace(asked, body=kept)) if kept else Reply(200, b'{"items":[]}')
        passed = iter(json.loads(reply.body)["items"])
        items = [a.refused(*fault.items[a.id]) if a.id in fault.items else next(passed) for a in actions]
        return replace(reply, body=json.dumps({"errors": True, "items": items}).encode())

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection: a sink that ends must not go on answering on those kept alive."""
        self._open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        """Forget it again."""
        self._open.discard(request)
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop listening, and end every connection."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: FakeSink
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        limit = self.server.script.reset_over
        if limit is not None and length > limit:
            self._send(Reply(), Fault(ending=Ending.RESET))
        else:
            asked = Asked(self.command, self.path, dict(self.headers), self.rfile.read(length))
            self._send(*self.server.serve(asked))

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - the base class dispatches by these names

    def _send(self, reply: Reply, fault: Fault) -> None:
        if self.command == "HEAD":
            reply = replace(reply, body=b"")
        closing = self.server.closing
        again = wire.send(self.connection, reply, fault.ending, pace=fault.pace, until=closing)
        self.close_connection = self.close_connection or not again

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


@contextmanager
def fake_sink(
    script: Script | None = None, *, upstream: str | None = None, port: int = 0, store: Store | None = None
) -> Iterator[FakeSink]:
    """A sink on 127.0.0.1: in memory, or in front of a real one; healthy without a script."""
    store = store or Store()
    sink = FakeSink(port, script or Script(), store, Upstream(upstream) if upstream else Memory(store))
    threading.Thread(target=sink.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield sink
    finally:
        sink.close()
