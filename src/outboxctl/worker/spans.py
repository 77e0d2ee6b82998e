"""A batch as spans, by OpenTelemetry's conventions.

https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from random import getrandbits
from time import time_ns
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.typing import EventDict, Processor, WrappedLogger

from outboxctl import __version__
from outboxctl.core.delivery.claim import Traces
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.worker.claiming.leases import Batch
from outboxctl.worker.settling.outcome import Outcomes
from outboxctl.worker.tracing import Tracing

NOT_DONE = {"retried": "retries", "failed": "failures", "held": "held"}  # attribute, and list of Outcomes
W3C = TraceContextTextMapPropagator()
# The children of an unsampled span are not sampled either, whatever makes them.
NOWHERE = SpanContext(getrandbits(128), getrandbits(64), is_remote=False, trace_flags=TraceFlags(0))
# The text of an error could hold the statement that failed, and so texts of events.
NO_ERRORS: Any = {"record_exception": False, "set_status_on_exception": False}


class Spans(Tracing):
    """Tracing that is on: to whatever tracer provider the process has."""

    on = True

    def __init__(self, worker_id: str, index: str) -> None:
        self._tracer = trace.get_tracer("outboxctl", __version__)
        self._sink = {"outbox.projection": PROJECTION, "outbox.index": index}
        self._own: dict[str, str | int] = {
            "messaging.system": "outboxctl",
            "messaging.destination.name": EVENTS,
            "messaging.client.id": worker_id,
        }

    def batch(self, batch: Batch) -> AbstractContextManager[object]:
        """Begins when the claim was sent: an idle worker, whose claims return nothing, makes no spans.

        Links, not a parent, also for a batch of one: which events go together is chance.
        """
        return harmless(lambda: self._batch(batch))

    @contextmanager
    def _batch(self, batch: Batch) -> Iterator[None]:
        now = time_ns()
        requested_at = now - int((monotonic() - batch.lease.requested_at) * 1e9)
        with self._tracer.start_as_current_span(
            f"deliver {EVENTS}",
            kind=SpanKind.CONSUMER,
            attributes=self._of("deliver", "process") | self._sink | _count(batch),
            links=links(batch.traces),
            start_time=requested_at,
            **NO_ERRORS,
        ):
            receive = self._of("claim", "receive") | _count(batch)
            self._tracer.start_span(
                f"claim {EVENTS}", kind=SpanKind.CLIENT, attributes=receive, start_time=requested_at
            ).end(now)
            yield

    def sending(self, documents: int) -> AbstractContextManager[object]:
        """The client's own spans, one a request, are its children."""
        return self._within("send", SpanKind.INTERNAL, self._sink | {"outbox.documents": documents})

    def settling(self) -> AbstractContextManager[object]:
        """The statements that write it."""
        return self._within(f"settle {EVENTS}", SpanKind.CLIENT, self._of("settle", "settle"))

    def _within(
        self, name: str, kind: SpanKind, attributes: Mapping[str, str | int]
    ) -> AbstractContextManager[object]:
        begin = self._tracer.start_as_current_span
        return harmless(lambda: begin(name, kind=kind, attributes=attributes, **NO_ERRORS))

    def settled(self, outcomes: Outcomes, written: int) -> None:
        """Counts by outcome; an error is whatever was not delivered, by its most frequent reason."""
        with _logged():
            _record_outcomes(trace.get_current_span(), outcomes, written)

    def log_processors(self) -> list[Processor]:
        """See `log_ids`."""
        return [log_ids]

    def untraced(self) -> AbstractContextManager[object]:
        """Nothing within is sampled, where the sampler asks the parent, as it does by default."""
        return trace.use_span(trace.NonRecordingSpan(NOWHERE))

    def _of(self, name: str, kind: str) -> dict[str, str | int]:
        return self._own | {"messaging.operation.name": name, "messaging.operation.type": kind}


def links(traces: Traces) -> list[Link]:
    """A link for each intact context; what a producer wrote may be anything."""
    spans = [(id_, trace.get_current_span(W3C.extract({"traceparent": text}))) for id_, text in traces]
    contexts = [(id_, span.get_span_context()) for id_, span in spans]
    return [Link(context, {"messaging.message.id": id_}) for id_, context in contexts if context.is_valid]


def log_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: adds the ids of the span within which a line is logged."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _record_outcomes(span: Span, outcomes: Outcomes, written: int) -> None:
    not_done = {name: len(getattr(outcomes, rows)) for name, rows in NOT_DONE.items()}
    others = {"done": len(outcomes.done), "unsent": len(outcomes.unsent)}
    others["lease_lost"] = sum((not_done | others).values()) - written
    span.set_attributes({f"outbox.{name}": count for name, count in (not_done | others).items()})
    if any(not_done.values()):
        span.set_attribute("error.type", _reason(outcomes))
        counts = ", ".join(f"{count} {name}" for name, count in not_done.items() if count)
        span.set_status(StatusCode.ERROR, f"{counts}: {_reason(outcomes)}")


def _count(batch: Batch) -> dict[str, str | int]:
    return {"messaging.batch.message_count": len(batch.events)}


def _reason(outcomes: Outcomes) -> str:
    ids = [*(row.id for row in outcomes.retries), *(row.id for row in outcomes.failures), *outcomes.held]
    reasons = [outcomes.findings[id_][1].reason or Reason.UNKNOWN_EXCEPTION for id_ in ids]
    return Counter(reasons).most_common(1)[0][0].value


@contextmanager
def harmless(begin: Callable[[], AbstractContextManager[object]] = nullcontext) -> Iterator[None]:
    """The span that `begin` makes, around a block, or none where it cannot be made.

    A sampler or a processor may be another library's: an error of it would cost each event of a batch an
    attempt. So it costs the span, and nothing of the work within it.
    """
    span: AbstractContextManager[object] = nullcontext()
    with _logged():
        made = begin()
        made.__enter__()
        span = made
    try:
        yield
    except BaseException as error:
        with _logged():
            span.__exit__(type(error), error, error.__traceback__)
        raise
    with _logged():
        span.__exit__(None, None, None)


@contextmanager
def _logged() -> Iterator[None]:
    """Log an error as OpenTelemetry itself would, and go on."""
    try:
        yield
    except Exception as error:
        logging.getLogger("opentelemetry").warning(f"a span is lost: {type(error).__name__}")
