"""A collector: takes spans by OTLP over HTTP (POST /v1/traces, protobuf) and keeps them."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

# As `opentelemetry-instrument` does it: Python loads this module before any program.
SDK = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
"""


def instrumented(folder: Path, url: str) -> dict[str, str]:
    """The environment of a process that has an SDK, whose spans go to this collector."""
    (folder / "sitecustomize.py").write_text(SDK)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "100"}


class Collector:
    """Where it listens, what came, and as which bytes."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resource: dict[str, Any] = {}
        self.raw: list[bytes] = []
        self.url = ""

    def take(self, body: bytes) -> None:
        """One export."""
        self.raw.append(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource |= attributes(group.resource)
            for scope in group.scope_spans:
                self.spans.extend(scope.spans)

    def named(self, name: str) -> list[Span]:
        """The spans of a name, in the order of their beginning."""
        return sorted((s for s in self.spans if s.name == name), key=lambda s: s.start_time_unix_nano)


def attributes(owner: Any) -> dict[str, Any]:
    """As a dictionary of plain values."""
    return {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in owner.attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on 127.0.0.1."""
    own = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            own.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        own.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield own
        finally:
            server.shutdown()
            thread.join()
