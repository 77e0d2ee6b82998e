"""A request refused for its size or for one of its items: only the culprit fails."""

from collections.abc import Callable
from math import log2

import pytest

from fakes import FakeSink, ProxyFault, Script, faults
from fakes.faults import HEALTHY
from fakes.script import Bulk
from sink.rows.bench import DONE, Bench, end, metric
from sink.rows.recorded import request

TOO_LARGE = request("request_too_large")
FAILED = end("fail", "payload_too_large", "count")
LIMIT = 100_000  # bytes


def over(limit: int, fault: ProxyFault) -> Callable[[Bulk], ProxyFault]:
    """A sink that refuses every body larger than `limit` bytes."""
    return lambda bulk: fault if bulk.size > limit else HEALTHY


def test_bisect_finds_the_one_bad_item_in_few_requests(bench: Bench, sink: FakeSink) -> None:
    batch = bench.put(64)
    refused = batch[40]
    fault = request("id_too_long")
    sink.script = Script(lambda bulk: fault if refused.document in bulk.ids else HEALTHY)
    bench.to(sink)
    assert bench.end(refused) == end("fail", "bad_request", "count")
    assert {bench.end(put) for put in batch if put is not refused} == {DONE}
    assert len(sink.requests) <= 2 * log2(64) + 1 + 1, "the one is sent once more, to be sure"


def test_payload_too_large_is_halved_until_it_fits(bench: Bench, sink: FakeSink) -> None:
    batch = bench.put(8, text="x" * (LIMIT // 3))
    sink.script = Script(over(LIMIT, TOO_LARGE))
    metrics = bench.to(sink)
    assert {bench.end(put) for put in batch} == {DONE}
    assert metric(metrics, "outbox_es_bulk_requests_total", result="payload_too_large") == 3
    assert metric(metrics, "outbox_es_bulk_requests_total", result="ok") == 4


def test_bad_document__over_the_limit_by_itself_fails_alone(bench: Bench, sink: FakeSink) -> None:
    before, (large,), after = bench.put(3), bench.put(text="x" * LIMIT), bench.put(3)
    sink.script = Script(over(LIMIT, TOO_LARGE))
    bench.to(sink)
    assert bench.end(large) == FAILED
    assert {bench.end(put) for put in before + after} == {DONE}


@pytest.mark.parametrize("fault", [faults.RESET_BEFORE, faults.RESET_AFTER])
def test_payload_too_large__told_by_resets_is_found(bench: Bench, sink: FakeSink, fault: ProxyFault) -> None:
    before, (large,), after = bench.put(3), bench.put(text="x" * LIMIT), bench.put(3)
    sink.script = Script(over(LIMIT, fault))
    bench.to(sink)
    assert bench.end(large) == FAILED
    assert {bench.end(put) for put in before + after} == {DONE}


def test_payload_too_large__reset_while_it_is_being_sent(bench: Bench, sink: FakeSink) -> None:
    before, (large,), after = bench.put(3), bench.put(text="x" * 5_000_000), bench.put(3)
    sink.script.reset_over = LIMIT
    bench.to(sink)
    assert bench.end(large) == FAILED
    assert {bench.end(put) for put in before + after} == {DONE}


@pytest.mark.parametrize("fault", [faults.RESET_BEFORE, faults.RESET_AFTER, faults.DROP_AFTER])
@pytest.mark.parametrize("count", [1, 4])
def test_connection_lost__where_the_sink_answers_nothing_at_all(
    bench: Bench, sink: FakeSink, policy: str, count: int, fault: ProxyFault
) -> None:
    batch = bench.put(count)

    def dies(_: Bulk) -> ProxyFault:
        sink.script.lookups = fault
        return fault

    sink.script = Script(dies)
    bench.to(sink, outage_policy=policy)
    assert {bench.end(put) for put in batch} == {end("refundable", "connection_lost", policy)}


@pytest.mark.parametrize("fault", [faults.RESET_BEFORE, faults.RESET_AFTER, faults.DROP_AFTER])
def test_connection_lost__once_by_chance_costs_no_attempt(
    bench: Bench, sink: FakeSink, fault: ProxyFault
) -> None:
    batch = bench.put(4)
    sink.script = Script.of(fault)
    bench.to(sink)
    assert {bench.end(put) for put in batch} == {DONE}
    assert len(sink.requests) == 2
