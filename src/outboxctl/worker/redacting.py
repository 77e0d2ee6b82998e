"""Spans without secrets: an exporter before the one that sends them.

An error that leaves a span is written into it by OpenTelemetry itself, with the text of whatever library
raised it; a span of the client's holds what the client takes for harmless.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status

from outboxctl.domain.redaction import redact, redacted


class Redacting(SpanExporter):
    """Hands copies on in which every text is redacted."""

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
    said = span.status.description
    return ReadableSpan(
        name=redact(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=Resource(_texts(span.resource.attributes), span.resource.schema_url),
        attributes=_texts(span.attributes),
        events=[Event(redact(each.name), _texts(each.attributes), each.timestamp) for each in span.events],
        links=[Link(each.context, _texts(each.attributes)) for each in span.links],
        kind=span.kind,
        status=Status(span.status.status_code, said and redact(said)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _texts(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: redacted(value) for name, value in (attributes or {}).items()}
