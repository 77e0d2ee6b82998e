"""A span for each request, whose trace the sink gets in a header; loaded only where tracing is on."""

from opentelemetry import trace
from opentelemetry.propagate import inject
from opentelemetry.trace import StatusCode

from outboxctl.domain.failures import Answer
from outboxctl.sink.transport.connection import Request
from outboxctl.sink.transport.node import Node
from outboxctl.sink.transport.reply import SinkReply


def exchange(node: Node, request: Request, seconds: float) -> SinkReply | Answer:
    """As `Node.exchange`, within a span named after the API: `bulk`, `mget`, else the method."""
    path = request.target.partition("?")[0].split("/")
    api = next((part[1:] for part in path if part.startswith("_")), None)
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        "db.system": "elasticsearch",
        "url.full": node.url.rstrip("/") + request.target,
        "server.address": node.peer.host,
        "server.port": node.peer.port,
    }
    attributes |= {"db.operation": api} if api else {}
    name = api or request.method
    with trace.get_tracer("outboxctl.sink").start_as_current_span(name, attributes=attributes) as span:
        inject(request.headers)
        reply = node.exchange(request, seconds)
        if isinstance(reply, Answer):
            span.set_status(StatusCode.ERROR, reply.kind)
        elif not reply.ok:
            span.set_status(StatusCode.ERROR, f"HTTP {reply.status}")
        return reply
