"""The export of spans: by OTLP over HTTP, in a thread of its own, set up by OpenTelemetry's variables.

A collector that is unreachable costs spans, and nothing else.
"""

import logging
import os
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status

from outboxctl import __version__
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.redaction import redact, redacted
from outboxctl.settings import Settings
from outboxctl.worker.spans import Spans

log = structlog.get_logger()
FLUSH_SECONDS = 2.0  # after the last batch: a worker that stops does not wait longer for a collector
QUIET_SECONDS = 60.0  # between two log lines about one problem with spans
SECRET = re.compile(r"\?\S*|(?<=//)[^/@\s]*@")  # parts of a URL that may hold a token or a password
PLACEHOLDER = re.compile(r"%[\w.]*[a-z]")
# The only values that outboxctl supports.
SUPPORTED = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
}


def traced(settings: Settings) -> Spans:
    """Spans to the collector of the environment. Raises UsageError for a protocol that is not supported."""
    for name, supported in SUPPORTED.items():
        value = os.environ.get(name) or supported
        if value != supported:
            hint = f"unset it or set it to {supported}; a collector takes OTLP over HTTP on port 4318"
            raise UsageError(
                f"bad setting {name} {value[:40]!r}: outboxctl sends spans by {supported}", hint=hint
            )
    logger = logging.getLogger("opentelemetry")
    logger.handlers, logger.propagate = [RareWarnings()], False
    _load_propagators()
    return ExportedSpans(settings, _provider(settings))


def _load_propagators() -> None:
    """Load what adds the headers now: a bad setting must not raise with a batch in hand."""
    try:
        import opentelemetry.propagate  # noqa: F401, PLC0415 - may raise
    except ValueError as error:
        raise UsageError(f"bad setting OTEL_PROPAGATORS: {brief(error, 200)}") from None


class ExportedSpans(Spans):
    """Spans with an exporter that this process stops."""

    def __init__(self, settings: Settings, provider: TracerProvider) -> None:
        super().__init__(settings)
        self._provider = provider

    def stop(self) -> None:
        """Export the rest, for at most FLUSH_SECONDS."""
        last = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(FLUSH_SECONDS)


def _provider(settings: Settings) -> TracerProvider:
    """The provider of the process: `opentelemetry-instrument` may have set one."""
    existing = trace.get_tracer_provider()
    if isinstance(existing, TracerProvider):
        return existing
    own = {
        "service.name": "outboxctl",
        "service.version": __version__,
        "service.instance.id": settings.worker_id,
    }
    environment = OTELResourceDetector().detect().attributes  # OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
    provider = TracerProvider(resource=Resource.create({**own, **environment}), shutdown_on_exit=False)
    try:
        provider.add_span_processor(BatchSpanProcessor(Redacting(OTLPSpanExporter())))
    except (OSError, ValueError) as error:
        raise UsageError(f"bad setting OTEL_…: {brief(error, 200)}") from None
    trace.set_tracer_provider(provider)  # the client's own spans go there too
    return provider


class RareWarnings(logging.Handler):
    """OpenTelemetry's warnings in our log, each once a minute: it warns of a failed export at each batch.

    Of all other warnings only the template: its values may be a header of the environment, so a secret.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._next: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Log the warning, unless the same one was logged less than a minute ago."""
        exporting = record.name == OTLPSpanExporter.__module__
        text = (
            SECRET.sub("…", redact(record.getMessage()))
            if exporting
            else PLACEHOLDER.sub("…", str(record.msg))
        )
        if exporting:
            self._log("spans are lost", "spans are lost", text, "OTEL_EXPORTER_OTLP_ENDPOINT")
        else:
            self._log(text, "OpenTelemetry complains", text, "the variables that begin with OTEL_")

    def _log(self, kind: str, event: str, problem: str, variables: str) -> None:
        if monotonic() >= self._next.get(kind, 0.0):
            self._next[kind] = monotonic() + QUIET_SECONDS
            log.warning(event, problem=brief(problem, 300), hint=f"check {variables}")


class Redacting(SpanExporter):
    """Passes copies of spans to an exporter, with every text redacted.

    OpenTelemetry writes an error that leaves a span into it, with the text of whatever library raised it;
    a span of the client's holds what the client takes for harmless.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        return self._exporter.export([_copy(span) for span in spans])

    def shutdown(self) -> None:
        """See `SpanExporter`."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See `SpanExporter`."""
        return self._exporter.force_flush(timeout_millis)


def _copy(span: ReadableSpan) -> ReadableSpan:
    description = span.status.description
    return ReadableSpan(
        name=redact(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=Resource(_texts(span.resource.attributes), span.resource.schema_url),
        attributes=_texts(span.attributes),
        events=[Event(redact(each.name), _texts(each.attributes), each.timestamp) for each in span.events],
        links=[Link(each.context, _texts(each.attributes)) for each in span.links],
        kind=span.kind,
        status=Status(span.status.status_code, description and redact(description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _texts(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: redacted(value) for name, value in (attributes or {}).items()}
