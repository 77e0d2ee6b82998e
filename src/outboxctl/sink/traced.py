"""The client's node, telling the sink which trace a request belongs to; loaded only where tracing is on."""

from typing import Any

from elastic_transport import HttpHeaders
from opentelemetry.propagate import inject

from outboxctl.sink.client import WatchedNode


class TracedNode(WatchedNode):
    """Adds the headers of the active span (`traceparent`, or what OTEL_PROPAGATORS says)."""

    def perform_request(self, *args: Any, **kwargs: Any) -> Any:
        """As the base class."""
        headers = HttpHeaders(kwargs.get("headers") or {})
        inject(headers)
        return super().perform_request(*args, **kwargs | {"headers": headers})
