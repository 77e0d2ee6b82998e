"""The sink cannot be reached, does not answer in time, or asks for time."""

import pytest

from fakes import FakeSink, ProxyFault, Script
from fakes.faults import DRIPPED, refused
from outboxctl.drills import services
from sink.rows.bench import Bench, end

LEASE = 1.0  # seconds; a delivery gets three quarters of it


def test_connect__refused(bench: Bench, policy: str) -> None:
    batch = bench.put(2)
    bench.deliver(f"http://127.0.0.1:{services.fresh_port()}", outage_policy=policy)
    assert {bench.end(put) for put in batch} == {end("outage", "connect", policy)}


def test_tls(bench: Bench, sink: FakeSink, policy: str) -> None:
    (put,) = bench.put()
    bench.deliver(sink.url.replace("http:", "https:"), outage_policy=policy)
    assert bench.end(put) == end("outage", "tls", policy)
    assert sink.requests == []


@pytest.mark.parametrize(
    ("fault", "applied"),
    [(ProxyFault(before=60), 0), (ProxyFault(after=60), 2), (DRIPPED, 2)],
    ids=["before", "after", "dripped"],
)
def test_timeout(bench: Bench, sink: FakeSink, policy: str, fault: ProxyFault, applied: int) -> None:
    batch = bench.put(2)
    sink.script = Script.always(fault)
    bench.to(sink, outage_policy=policy, lease_seconds=LEASE)
    assert {bench.end(put) for put in batch} == {end("refundable", "timeout", policy)}
    assert len(sink.store.versions()) == applied


def test_timeout__where_the_look_up_used_up_the_time(bench: Bench, sink: FakeSink) -> None:
    (put,) = bench.put()
    sink.script.lookups = ProxyFault(before=60)
    bench.to(sink, lease_seconds=LEASE)
    assert bench.end(put) == end("retry", "timeout", "count")
    assert sink.requests == []


@pytest.mark.parametrize(
    ("header", "cap", "least", "most"), [("120", 600, 118, 600), ("3600", 200, 100, 200)]
)
def test_rate_limited__retry_after(
    bench: Bench, sink: FakeSink, header: str, cap: float, least: float, most: float
) -> None:
    batch = bench.put(2)
    sink.script = Script.always(refused(429, "es_rejected_execution_exception", Retry_After=header))
    bench.to(sink, base_backoff_seconds=1.0, max_backoff_seconds=float(cap))
    assert {bench.end(put) for put in batch} == {end("retry", "rate_limited", "count")}
    assert all(least <= bench.wait(put) <= most for put in batch)


@pytest.mark.parametrize("header", ["soon", "-5", "", "1e999", "nan", "99999999999999999999", "Thu, 99 Foo"])
def test_rate_limited__nonsense_in_retry_after_changes_nothing(
    bench: Bench, sink: FakeSink, header: str
) -> None:
    (put,) = bench.put()
    sink.script = Script.always(refused(429, "es_rejected_execution_exception", Retry_After=header))
    bench.to(sink, base_backoff_seconds=100.0, max_backoff_seconds=100.0)
    assert bench.end(put) == end("retry", "rate_limited", "count")
    assert 40 < bench.wait(put) <= 100
