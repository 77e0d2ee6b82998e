"""From the application's span to the search engine's log: one chain of ids, and nothing lost for it."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from uuid import uuid4

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import outboxctl
from fakes import Script, fake_sink
from fakes.collector import Collector, attributes, collector, instrumented
from fakes.faults import answered
from outboxctl.worker.claiming.leases import Batch, Lease
from outboxctl.worker.settling.outcome import Outcomes
from outboxctl.worker.tracing import Tracing
from processes import Cli, Worker
from scene import Scene
from servers import Servers

DELIVER = "deliver search_outbox_events"
ROWS = """INSERT INTO search_index (entity_type, entity_id, event_version, text)
SELECT entity_type, entity_id, event_version, 'x' FROM search_outbox_events"""


@pytest.fixture
def there() -> Iterator[Collector]:
    with collector() as own:
        yield own


def produce(sql: psycopg.Connection, count: int) -> list[str]:
    """Events, each written within a span of an application; their traceparents."""
    tracer = TracerProvider().get_tracer("application")
    for version in range(count):
        with tracer.start_as_current_span("save order"):
            outboxctl.enqueue(sql, entity_type="block", entity_id=uuid4(), event_version=version)
    sql.execute(ROWS)
    return [text for (text,) in sql.execute("SELECT traceparent FROM search_outbox_events").fetchall()]


def ids(traceparent: str) -> tuple[str, str]:
    """Of the trace and of the span."""
    _, trace_id, span_id, _ = traceparent.split("-")
    return trace_id, span_id


def test_one_chain_of_ids_from_the_application_to_the_sink_and_the_log(
    scene: Scene, worker: Callable[..., Worker], servers: Servers, there: Collector, tmp_path: Path
) -> None:
    written = produce(scene.sql, 3)
    scene.sql.execute("UPDATE search_outbox_events SET traceparent = 'nonsense' WHERE event_version = 2")
    once = Script.of(answered(503))
    with fake_sink(once, upstream=servers.sink) as sink:
        url = sink.url.replace("http://", "http://elastic:s3cr3t@")
        running = worker(
            **instrumented(tmp_path, there.url),
            OTEL_SERVICE_NAME="search",
            ELASTIC_URL=url,
            OUTBOX_WORKER_ID="w1",
            OUTBOX_BASE_BACKOFF_SECONDS="0.01",
        )
        scene.finished_by(running, 3)
        running.signal()
        assert running.wait() == 0
        headers = [headers["traceparent"] for headers in sink.headers]
    first, *_, last = there.named(DELIVER)
    assert first.trace_id != last.trace_id, "a batch is a trace of its own"
    # The producers' spans, but for what is none.
    linked = {(link.trace_id.hex(), link.span_id.hex()) for link in first.links}
    assert linked < {ids(text) for text in written}
    assert len(linked) == 2
    assert ids(headers[0]) == (first.trace_id.hex(), first.span_id.hex()), "the engine is told of the batch"
    # What it says of itself.
    said = attributes(first)
    assert (said["outbox.retried"], said["outbox.done"], said["outbox.lease_lost"]) == (3, 0, 0)
    assert said["messaging.batch.message_count"] == 3
    assert (said["messaging.client.id"], said["outbox.projection"]) == ("w1", "search_index_to_elastic")
    assert said["error.type"] == "unavailable"
    assert (first.kind, first.status.code) == (Span.SPAN_KIND_CONSUMER, Status.STATUS_CODE_ERROR)
    assert attributes(last)["outbox.done"] >= 1
    assert last.status.code == Status.STATUS_CODE_UNSET
    assert there.resource["service.name"] == "search"
    # The log's line on that batch, and nobody's password anywhere.
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "events will be retried"]
    assert (line["trace_id"], line["span_id"]) == (first.trace_id.hex(), first.span_id.hex())
    assert "trace_id" not in lines[0]
    assert b"s3cr3t" not in b"".join(there.raw)
    # Looking whether the sink is there, twice a second, is no news.
    assert {s.name for s in there.spans} == {DELIVER}


def test_without_an_sdk_there_are_no_spans_and_no_header(scene: Scene, cli: Cli, servers: Servers) -> None:
    produce(scene.sql, 3)
    with fake_sink(upstream=servers.sink) as sink:
        cli.ok("worker", "--drain", env={"ELASTIC_URL": sink.url})
        assert "traceparent" not in sink.headers[0]
    scene.holds(3)


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


BATCH = Batch(Lease("token", 30.0, 1, requested_at=monotonic()), [], exclusive=False)


@pytest.mark.no_servers
@pytest.mark.parametrize("moment", ["start", "end"])
def test_a_broken_processor_costs_no_event(
    provider: TracerProvider, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider.add_span_processor(Broken(moment))
    spans = Tracing("w1")
    with caplog.at_level(logging.WARNING, "opentelemetry"), spans.batch(BATCH):
        spans.settled(Outcomes(), 0)
    assert "a span is lost: LookupError" in caplog.text


@pytest.mark.no_servers
def test_an_error_within_goes_on_and_leaves_no_text_in_the_span(provider: TracerProvider) -> None:
    kept = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with pytest.raises(ValueError, match="ours"), Tracing("w1").batch(BATCH):
        raise ValueError("ours")
    (span,) = kept.get_finished_spans()
    assert span.status.description is None
    assert not span.events
