"""Where spans go: by OTLP over HTTP, in a thread of its own, set up by OpenTelemetry's own variables.

A collector that is away costs spans, and nothing else.
"""

import logging
import os
import re
import threading

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from outboxctl import __version__
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.redaction import redact
from outboxctl.settings import Settings
from outboxctl.worker.redacting import Redacting
from outboxctl.worker.spans import Spans

log = structlog.get_logger()
FLUSH_SECONDS = 2.0  # after the last batch: a worker that stops does not wait for a collector that is away
QUIET_SECONDS = 60.0  # between two words of what goes wrong with spans
SECRET = re.compile(r"\?\S*|(?<=//)[^/@\s]*@")  # parts of a URL that may hold a token or a password
FILLED_IN = re.compile(r"%[\w.]*[a-z]")
# What of OpenTelemetry's choice of exporters there is here.
ONLY = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
}


def traced(settings: Settings) -> Spans:
    """Spans to the collector of the environment. Raises UsageError for a way there that is not ours."""
    for name, only in ONLY.items():
        given = os.environ.get(name) or only
        if given != only:
            hint = f"unset it or set it to {only}; a collector takes OTLP over HTTP on port 4318"
            raise UsageError(f"bad setting {name} {given[:40]!r}: outboxctl sends spans by {only}", hint=hint)
    logger = logging.getLogger("opentelemetry")
    logger.handlers, logger.propagate = [Seldom()], False
    _look_at_propagators()
    return Exported(settings, _provider(settings))


def _look_at_propagators() -> None:
    """What adds the headers is chosen when it is loaded: that must not be with a batch in hand."""
    try:
        import opentelemetry.propagate  # noqa: F401, PLC0415 - may raise
    except ValueError as error:
        raise UsageError(f"bad setting OTEL_PROPAGATORS: {brief(error, 200)}") from None


class Exported(Spans):
    """Spans whose exporter is ours to stop."""

    def __init__(self, settings: Settings, provider: TracerProvider) -> None:
        super().__init__(settings)
        self._provider = provider

    def stop(self) -> None:
        """Send what is left, for as long as FLUSH_SECONDS."""
        last = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(FLUSH_SECONDS)


def _provider(settings: Settings) -> TracerProvider:
    """That of the process: `opentelemetry-instrument` may have made one before us."""
    found = trace.get_tracer_provider()
    if isinstance(found, TracerProvider):
        return found
    own = {
        "service.name": "outboxctl",
        "service.version": __version__,
        "service.instance.id": settings.worker_id,
    }
    given = OTELResourceDetector().detect().attributes  # OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
    provider = TracerProvider(resource=Resource.create({**own, **given}), shutdown_on_exit=False)
    try:
        provider.add_span_processor(BatchSpanProcessor(Redacting(OTLPSpanExporter())))
    except (OSError, ValueError) as error:
        raise UsageError(f"bad setting OTEL_…: {brief(error, 200)}") from None
    trace.set_tracer_provider(provider)  # the client's own spans go there too
    return provider


class Seldom(logging.Handler):
    """What OpenTelemetry complains of, in our log, once a minute: of exports it does so for each batch.

    Of all else only its own words: what it fills in may be a header of the environment, so a secret.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._next: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, or not."""
        exporting = record.name == OTLPSpanExporter.__module__
        text = (
            SECRET.sub("…", redact(record.getMessage())) if exporting else FILLED_IN.sub("…", str(record.msg))
        )
        if exporting:
            self._say("spans are lost", "spans are lost", text, "OTEL_EXPORTER_OTLP_ENDPOINT")
        else:
            self._say(text, "OpenTelemetry complains", text, "the variables that begin with OTEL_")

    def _say(self, kind: str, event: str, problem: str, variables: str) -> None:
        if monotonic() >= self._next.get(kind, 0.0):
            self._next[kind] = monotonic() + QUIET_SECONDS
            log.warning(event, problem=brief(problem, 300), hint=f"check {variables}")
