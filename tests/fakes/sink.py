"""The fault proxy's server that plays Elasticsearch, and misbehaves where its script says so."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from fakes.memory import Memory
from fakes.script import Bulk, Script
from fakes.store import Store
from outboxctl.drills.proxy.faults import ActiveFault
from outboxctl.drills.proxy.server import ProxyServer, Upstream
from outboxctl.drills.proxy.wire import Backend, ProxyRequest
from outboxctl.drills.services import fresh_port


class FakeSink(ProxyServer):
    """Use `fake_sink()`. `requests` and `headers` are the bulk requests', `lookups` all others.

    `store` is in memory.
    """

    certificate: Path | None = None

    def __init__(self, port: int, script: Script, store: Store, backend: Backend) -> None:
        self.script, self.store = script, store
        self.requests: list[Bulk] = []
        self.lookups: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        super().__init__(port, backend, script)

    @property
    def limit(self) -> int:  # type: ignore[override]
        return sys.maxsize if self.script.reset_over is None else self.script.reset_over

    def choose(self, request: ProxyRequest) -> ActiveFault:
        if request.is_bulk:
            ids = tuple(action.id for action in request.actions())
            with self._lock:
                bulk = Bulk(len(self.requests), ids, len(request.body), monotonic())
                self.requests.append(bulk)
                self.headers.append(request.headers)
            return ActiveFault(self.script.choose(bulk), over=self.closing)
        asked = f"{request.method} {request.target}"
        self.lookups.append(asked)
        return ActiveFault(self.script.other(asked), over=self.closing)


@contextmanager
def fake_sink(
    script: Script | None = None, *, upstream: str | None = None, port: int = 0, store: Store | None = None
) -> Iterator[FakeSink]:
    """A sink on 127.0.0.1: in memory, or in front of a real one; healthy without a script."""
    store = store or Store()
    backend = Upstream(upstream).answer if upstream else Memory(store).answer
    # One that no connection is given: a test that lets this sink end may start the next one on it.
    sink = FakeSink(port or fresh_port(), script or Script(), store, backend)
    sink.listen()
    try:
        yield sink
    finally:
        sink.close()
