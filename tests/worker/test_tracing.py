"""From the application's span to the search engine's log: one chain of ids, and nothing lost for it."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from uuid import uuid4

import psycopg
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider

import outboxctl
from fakes import Script, fake_sink
from fakes.collector import Collector, attributes, collector
from fakes.faults import answered
from processes import Cli, Worker, eventually
from scene import Scene
from servers import Servers

DELIVER, CLAIM, SETTLE = (f"{verb} search_outbox_events" for verb in ("deliver", "claim", "settle"))
SOON = {"OUTBOX_TRACING": "on", "OTEL_BSP_SCHEDULE_DELAY": "100"}
ROWS = """INSERT INTO search_index (entity_type, entity_id, event_version, text)
SELECT entity_type, entity_id, event_version, 'x' FROM search_outbox_events"""
# Python looks for this module at its start; here it makes a machine without the extra.
WITHOUT_OPENTELEMETRY = """\
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


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
    scene: Scene, worker: Callable[..., Worker], servers: Servers, there: Collector
) -> None:
    written = produce(scene.sql, 3)
    scene.sql.execute("UPDATE search_outbox_events SET traceparent = 'nonsense' WHERE event_version = 2")
    once = Script.of(answered(503))
    with fake_sink(once, upstream=servers.sink) as sink:
        url = sink.url.replace("http://", "http://elastic:s3cr3t@")
        running = worker(
            **SOON,
            OTEL_EXPORTER_OTLP_ENDPOINT=there.url,
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
    # What happened within.
    for name in (CLAIM, "send", SETTLE):
        (child,) = [s for s in there.named(name) if s.trace_id == first.trace_id]
        assert child.parent_span_id == first.span_id
        assert first.start_time_unix_nano <= child.start_time_unix_nano <= child.end_time_unix_nano
    # The header is that of the client's span for this very request.
    requests = {(s.trace_id.hex(), s.span_id.hex()): s for s in there.named("bulk")}
    assert sorted(ids(text) for text in headers) == sorted(requests)
    assert ids(headers[0])[0] == first.trace_id.hex()
    (send,) = [s for s in there.named("send") if s.trace_id == first.trace_id]
    assert requests[ids(headers[0])].parent_span_id == send.span_id
    # What it says of itself.
    said = attributes(first)
    assert (said["outbox.retried"], said["outbox.done"], said["outbox.lease_lost"]) == (3, 0, 0)
    assert said["messaging.batch.message_count"] == 3
    assert (said["messaging.client.id"], said["outbox.index"]) == ("w1", scene.index)
    assert said["error.type"] == "unavailable"
    assert (first.kind, first.status.code) == (Span.SPAN_KIND_CONSUMER, Status.STATUS_CODE_ERROR)
    assert attributes(last)["outbox.done"] >= 1
    assert last.status.code == Status.STATUS_CODE_UNSET
    assert there.resource["service.name"] == "search"
    # The log's line on that batch, and nobody's password anywhere.
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "events will be retried"]
    (settle,) = [s for s in there.named(SETTLE) if s.trace_id == first.trace_id]
    assert (line["trace_id"], line["span_id"]) == (first.trace_id.hex(), settle.span_id.hex())
    assert "trace_id" not in lines[0]
    assert b"s3cr3t" not in b"".join(there.raw)
    # Looking whether the sink is there, twice a second, is no news.
    assert {s.name for s in there.spans if not s.parent_span_id} == {DELIVER}


def test_many_producers_are_a_bounded_number_of_links(
    scene: Scene, worker: Callable[..., Worker], there: Collector
) -> None:
    produce(scene.sql, 200)
    scene.finished_by(worker(**SOON, OTEL_EXPORTER_OTLP_ENDPOINT=there.url), 200)
    batches = eventually(lambda: there.named(DELIVER), what="spans")
    assert [len(span.links) for span in batches if len(span.links) > 100] == [128]


def black_hole(held: socket.socket) -> str:
    """A collector that takes connections and never says a word."""
    held.bind(("127.0.0.1", 0))
    held.listen(64)
    return f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize("silent", [True, False])
def test_a_collector_that_is_away_holds_nothing_up(
    scene: Scene, worker: Callable[..., Worker], silent: bool
) -> None:
    scene.load(2_000)
    with socket.socket() as held:
        url = black_hole(held) if silent else "http://127.0.0.1:1"
        running = worker(**SOON, OTEL_EXPORTER_OTLP_ENDPOINT=f"{url}/?token=s3cr3t", OUTBOX_BULK_SIZE="20")
        scene.finished_by(running, 2_000)
        running.signal()
        began = monotonic()
        assert running.wait() == 0
        assert monotonic() - began < 10, "not the thirty seconds of an exporter"
    log = running.log.read_text()
    assert log.count("spans are lost") <= 1
    assert "s3cr3t" not in log
    assert len(log.splitlines()) < 20, log


def test_without_the_extra_tracing_is_refused_and_all_else_works(
    scene: Scene, cli: Cli, servers: Servers, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_OPENTELEMETRY)
    bare = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(":")}
    refused = cli("worker", "--drain", env=bare | {"OUTBOX_TRACING": "on"})
    assert refused.returncode == 2
    assert "pip install 'outboxctl[tracing]'" in refused.stderr
    scene.load(3)
    with fake_sink(upstream=servers.sink) as sink:
        cli.ok("worker", "--drain", env=bare | {"ELASTIC_URL": sink.url})
        assert "traceparent" not in sink.headers[0]
    scene.holds(3)


def test_a_variable_that_opentelemetry_does_not_take_costs_neither_events_nor_secrets(
    scene: Scene, cli: Cli, there: Collector
) -> None:
    scene.load(3)
    bad = {"OTEL_BSP_SCHEDULE_DELAY": "abc", "OTEL_EXPORTER_OTLP_HEADERS": "authorization s3cr3t"}
    done = cli("worker", "--drain", env=SOON | bad | {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
    assert done.returncode == 0
    assert "OpenTelemetry complains" in done.stderr
    assert "s3cr3t" not in done.stderr
    scene.holds(3)
    assert there.named(DELIVER), "as it is by default"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_PROPAGATORS", "nope"),
        ("OUTBOX_TRACING", "otlp"),
    ],
)
def test_a_way_to_trace_that_there_is_not_is_refused(cli: Cli, name: str, given: str) -> None:
    refused = cli("worker", "--drain", env=SOON | {name: given})
    assert refused.returncode == 2
    assert f"bad setting {name}" in refused.stderr
    assert given in refused.stderr
