"""Telling the sink which trace a request belongs to; loaded only where tracing is on."""

from typing import Any

from elastic_transport import HttpHeaders
from opentelemetry.propagate import inject


def traced(sends: Any) -> Any:
    """A client's class that sends requests, with the active span's headers (see OTEL_PROPAGATORS) added."""

    class Traced(sends):  # type: ignore[misc]
        def perform_request(self, *args: Any, **kwargs: Any) -> Any:
            headers = HttpHeaders(kwargs.get("headers") or {})
            inject(headers)
            return super().perform_request(*args, **kwargs | {"headers": headers})

    return Traced
