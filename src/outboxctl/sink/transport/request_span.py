"""A span for each request, whose trace the sink gets in a header; loaded only where tracing is on."""

from collections.abc import Callable

from elastic_transport import OpenTelemetrySpan
from opentelemetry import trace
from opentelemetry.propagate import inject
from opentelemetry.trace import StatusCode

from outboxctl.domain.failures import Answer
from outboxctl.sink.transport.reply import SinkReply


def spanned(
    method: str,
    target: str,
    headers: dict[str, str],
    send: Callable[[OpenTelemetrySpan], SinkReply | Answer],
) -> SinkReply | Answer:
    """What `send` returns, within a span named after the API: `bulk`, `mget`, else the method."""
    path = target.partition("?")[0].split("/")
    api = next((part[1:] for part in path if part.startswith("_")), None)
    attributes = {"http.request.method": method, "db.system": "elasticsearch"}
    attributes |= {"db.operation": api} if api else {}
    tracer = trace.get_tracer("outboxctl.sink")
    with tracer.start_as_current_span(api or method, attributes=attributes) as span:
        inject(headers)
        reply = send(OpenTelemetrySpan(span))
        if isinstance(reply, Answer):
            span.set_status(StatusCode.ERROR, reply.kind)
        elif not reply.ok:
            span.set_status(StatusCode.ERROR, f"HTTP {reply.status}")
        return reply
