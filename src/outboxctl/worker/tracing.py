"""A batch as a span, by OpenTelemetry's conventions; the requests to the sink carry its ids.

Loaded only where the process has an SDK of OpenTelemetry.
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from random import getrandbits
from time import time_ns

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.typing import EventDict, WrappedLogger

from outboxctl import __version__
from outboxctl.core.delivery.claim import Traces
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.worker.claiming.leases import Batch
from outboxctl.worker.settling.outcome import Outcomes

NOT_DONE = {"retried": "retries", "failed": "failures", "held": "held"}  # attribute, and list of Outcomes
W3C = TraceContextTextMapPropagator()
# The children of an unsampled span are not sampled either, whatever makes them.
NOWHERE = SpanContext(getrandbits(128), getrandbits(64), is_remote=False, trace_flags=TraceFlags(0))


class Tracing:
    """Makes the spans of one worker, for whatever tracer provider the process has."""

    def __init__(self, worker_id: str) -> None:
        self._tracer, self._worker_id = trace.get_tracer("outboxctl", __version__), worker_id

    @contextmanager
    def batch(self, batch: Batch) -> Iterator[None]:
        """Begins when the claim was sent: an idle worker, whose claims return nothing, makes no spans.

        A sampler or a processor may be another library's: an error of it costs the span, and no event.
        """
        span: Span = INVALID_SPAN
        with _logged():
            span = self._started(batch)
        try:
            # The text of an error could hold the statement that failed, and so texts of events.
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        finally:
            with _logged():
                span.end()

    def _started(self, batch: Batch) -> Span:
        """Links, not a parent, also for a batch of one: which events go together is chance."""
        return self._tracer.start_span(
            f"deliver {EVENTS}",
            kind=SpanKind.CONSUMER,
            attributes={
                "messaging.system": "outboxctl",
                "messaging.destination.name": EVENTS,
                "messaging.operation.name": "deliver",
                "messaging.operation.type": "process",
                "messaging.client.id": self._worker_id,
                "messaging.batch.message_count": len(batch.events),
                "outbox.projection": batch.name or PROJECTION,
            },
            links=links(batch.traces),
            start_time=time_ns() - int((monotonic() - batch.lease.requested_at) * 1e9),
        )

    def settled(self, outcomes: Outcomes, written: int) -> None:
        """Counts by outcome; an error is whatever was not delivered, by its most frequent reason."""
        with _logged():
            _record_outcomes(trace.get_current_span(), outcomes, written)

    def untraced(self) -> AbstractContextManager[object]:
        """Nothing within is sampled, where the sampler asks the parent, as it does by default."""
        return trace.use_span(trace.NonRecordingSpan(NOWHERE))

    @staticmethod
    def log_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """A structlog processor: adds the ids of the span within which a line is logged."""
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = trace.format_trace_id(context.trace_id)
            event["span_id"] = trace.format_span_id(context.span_id)
        return event


def links(traces: Traces) -> list[Link]:
    """A link for each intact context; what a producer wrote may be anything."""
    spans = [(id_, trace.get_current_span(W3C.extract({"traceparent": text}))) for id_, text in traces]
    contexts = [(id_, span.get_span_context()) for id_, span in spans]
    return [Link(context, {"messaging.message.id": id_}) for id_, context in contexts if context.is_valid]


def _record_outcomes(span: Span, outcomes: Outcomes, written: int) -> None:
    not_done = {name: len(getattr(outcomes, rows)) for name, rows in NOT_DONE.items()}
    others = {"done": len(outcomes.done), "unsent": len(outcomes.unsent)}
    others["lease_lost"] = sum((not_done | others).values()) - written
    span.set_attributes({f"outbox.{name}": count for name, count in (not_done | others).items()})
    if any(not_done.values()):
        span.set_attribute("error.type", _reason(outcomes))
        counts = ", ".join(f"{count} {name}" for name, count in not_done.items() if count)
        span.set_status(StatusCode.ERROR, f"{counts}: {_reason(outcomes)}")


def _reason(outcomes: Outcomes) -> str:
    ids = [*(row.id for row in outcomes.retries), *(row.id for row in outcomes.failures), *outcomes.held]
    reasons = [outcomes.findings[id_][1].reason or Reason.UNKNOWN_EXCEPTION for id_ in ids]
    return Counter(reasons).most_common(1)[0][0].value


@contextmanager
def _logged() -> Iterator[None]:
    """Log an error as OpenTelemetry itself would, and go on."""
    try:
        yield
    except Exception as error:
        logging.getLogger("opentelemetry").warning(f"a span is lost: {type(error).__name__}")
