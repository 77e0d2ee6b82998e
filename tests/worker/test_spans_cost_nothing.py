"""Whatever goes wrong with a span, the batch within it goes on, and keeps its own errors."""

import logging
from collections.abc import Iterator
from time import monotonic

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from outboxctl.worker.lease import Batch, Lease
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.spans import Spans

pytestmark = pytest.mark.no_servers


class Broken(SpanProcessor):
    """Somebody else's, as `opentelemetry-instrument` may bring one."""

    def __init__(self, fails: str) -> None:
        self.fails = fails

    def on_start(self, *_: object, **__: object) -> None:
        self._turn("start")

    def on_end(self, *_: object) -> None:
        self._turn("end")

    def _turn(self, moment: str) -> None:
        if moment == self.fails:
            raise LookupError("a bug of theirs")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[TracerProvider]:
    own = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer", own.get_tracer)
    yield own
    own.shutdown()


def _batch(spans: Spans) -> list[str]:
    """What was done of a batch."""
    done = []
    with spans.batch(Batch(Lease("token", 30.0, 1, requested_at=monotonic()), [], exclusive=False)):
        with spans.sending(1):
            done.append("sent")
        with spans.settling():
            done.append("settled")
        spans.settled(Outcomes(), 0)
        done.append("told")
    return done


@pytest.mark.parametrize("moment", ["start", "end"])
def test_a_broken_processor_costs_no_event(
    provider: TracerProvider, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider.add_span_processor(Broken(moment))
    with caplog.at_level(logging.WARNING, "opentelemetry"):
        assert _batch(Spans("w1", "index")) == ["sent", "settled", "told"]
    assert "a span is lost: LookupError" in caplog.text


def test_an_error_within_goes_on_and_leaves_no_text_in_the_span(provider: TracerProvider) -> None:
    kept = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with pytest.raises(ValueError, match="ours"), Spans("w1", "index").sending(1):
        raise ValueError("ours")
    (span,) = kept.get_finished_spans()
    assert span.status.description is None
    assert not span.events
