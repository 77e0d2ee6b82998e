"""What is wrong with the sink, or with the way to it, is never held against the events."""

import pytest

from fakes import FakeSink, ProxyFault, Script
from fakes.faults import NESTED_BODY, answered, refused
from sink.rows.bench import DONE, Bench, end, metric

HTML = b"<html>The plain HTTP request was sent to HTTPS port</html>"


def test_config__a_look_up_that_is_refused(bench: Bench, sink: FakeSink, policy: str) -> None:
    """An https port spoken to in http answers 400 to everything."""
    batch = bench.put(20)
    sink.script.lookups = answered(400, HTML)
    bench.to(sink, outage_policy=policy)
    assert {bench.end(put) for put in batch} == {end("outage", "config", policy)}
    assert (len(sink.requests), len(sink.lookups) <= 2) == (0, True)


NO_ENGINE = {
    "page": answered(400, HTML),
    "empty": answered(400),
    "text": answered(400, b'{"error":"no"}', Content_Type="application/json"),
    "nested": answered(400, NESTED_BODY, Content_Type="application/json"),
    "no type": answered(400, b'{"error":{"reason":"no"}}', Content_Type="application/json"),
}
ENGINE = {"typed": refused(400, "illegal_argument_exception", "no such thing")}


@pytest.mark.parametrize("fault", (NO_ENGINE | ENGINE).values(), ids=NO_ENGINE | ENGINE)
def test_config__an_event_that_is_alone(bench: Bench, sink: FakeSink, policy: str, fault: ProxyFault) -> None:
    """As the probe of an open circuit is: the look-up succeeds, and every bulk request is refused."""
    (put,) = bench.put()
    sink.script = Script.always(fault)
    bench.to(sink, outage_policy=policy)
    assert bench.end(put) == end("outage", "config", policy)
    assert len(sink.requests) == 2, "the event, and a request without one"


def test_bad_request__an_event_that_is_alone(bench: Bench, sink: FakeSink, policy: str) -> None:
    (put,) = bench.put()
    sink.script = Script(lambda bulk: ENGINE["typed"] if put.document in bulk.ids else ProxyFault())
    bench.to(sink, outage_policy=policy)
    assert bench.end(put) == end("fail", "bad_request", policy)
    assert len(sink.requests) == 3
    assert sink.store.documents() == {}


@pytest.mark.parametrize("lease", [1.0, 2.0])
def test_timeout__slow_look_ups_use_an_attempt(bench: Bench, sink: FakeSink, lease: float) -> None:
    """Else the event would go round for ever: no request, no attempt, no metric."""
    (put,) = bench.put()
    sink.script.lookups = ProxyFault(before=lease * 0.7)
    metrics = bench.to(sink, lease_seconds=lease)
    assert bench.end(put) == end("retry", "timeout", "count")
    assert metric(metrics, "outbox_failed_total", reason="timeout") == 1


def test_a_look_up_takes_at_most_half_of_the_time(bench: Bench, sink: FakeSink) -> None:
    (put,) = bench.put()
    sink.script.lookups = ProxyFault(before=1.0)
    bench.to(sink, lease_seconds=4.0)
    assert bench.end(put) == DONE
