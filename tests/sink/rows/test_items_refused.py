"""What comes back for one item: its row ends as the table says, its neighbours are delivered."""

from typing import Any

import pytest

from fakes import FakeSink, ProxyFault, Script
from sink.rows.bench import DONE, Bench, end, metric
from sink.rows.recorded import OPENSEARCH, item


def error(status: int, kind: str, reason: str = "no") -> tuple[int, Any]:
    """A refusal that no server was recorded with."""
    return status, {"type": kind, "reason": reason}


CLOSING = (
    "index [x] blocked by: [FORBIDDEN/4/index preparing to close. Reopen the index to allow writes again or "
    "retry closing the index to fully close the index.];"
)
FIELDS = "Limit of total fields [1000] has been exceeded while adding new fields [1]"
CASES = {
    "mapping-parsing": (item("document_parsing"), "fail", "mapping"),
    "mapping-parsing in OpenSearch": (item("document_parsing", OPENSEARCH), "fail", "mapping"),
    "mapping-strict": (item("strict_mapping"), "fail", "mapping"),
    "mapping-field limit": (error(400, "illegal_argument_exception", FIELDS), "fail", "mapping"),
    "mapping-immense term": (item("immense_term"), "fail", "mapping"),
    "mapping-immense term in OpenSearch": (item("immense_term", OPENSEARCH), "fail", "mapping"),
    "item_400": (error(400, "illegal_argument_exception", "pipeline [x] is missing"), "fail", "bad_request"),
    "rate_limited-rejected": (error(429, "es_rejected_execution_exception"), "refundable", "rate_limited"),
    "rate_limited-in OpenSearch": (item("write_queue_full", OPENSEARCH), "refundable", "rate_limited"),
    "rate_limited-breaker": (error(429, "circuit_breaking_exception"), "refundable", "rate_limited"),
    "rate_limited-breaker as 503": (error(503, "circuit_breaking_exception"), "refundable", "rate_limited"),
    "rate_limited-other": (error(429, "throttled"), "refundable", "rate_limited"),
    "disk_full-429": (item("flood_stage_block"), "outage", "disk_full"),
    "disk_full-403": ((403, item("flood_stage_block")[1]), "outage", "disk_full"),
    "write_blocked-5": (item("read_only_block"), "outage", "write_blocked"),
    "write_blocked-8": (item("write_block"), "outage", "write_blocked"),
    "auth-401": (error(401, "security_exception"), "outage", "auth"),
    "auth-403": (error(403, "security_exception"), "outage", "auth"),
    "auth-by type": (error(400, "security_exception"), "outage", "auth"),
    "index_unavailable-missing": (item("index_missing"), "outage", "index_unavailable"),
    "index_unavailable-closed": (item("index_closed"), "outage", "index_unavailable"),
    "index_unavailable-closing": (
        error(403, "cluster_block_exception", CLOSING),
        "outage",
        "index_unavailable",
    ),
    "index_unavailable-shard limit": (item("shard_limit"), "outage", "index_unavailable"),
    "index_unavailable-no write index": (item("alias_two_writes"), "outage", "index_unavailable"),
    "unavailable-shards": (item("primary_unassigned"), "refundable", "unavailable"),
    "unavailable-by type": (error(500, "no_shard_available_action_exception"), "refundable", "unavailable"),
    "unavailable-503": (error(503, "other"), "refundable", "unavailable"),
    "gateway-502": (error(502, "other"), "refundable", "gateway"),
    "gateway-504": (error(504, "other"), "refundable", "gateway"),
    "server_error": (error(500, "null_pointer_exception"), "retry", "server_error"),
    "unknown_exception-status": (error(418, "teapot_exception"), "retry", "unknown_exception"),
    "unknown_exception-conflict of another kind": (error(409, "other"), "retry", "unknown_exception"),
}


@pytest.mark.parametrize(("answer", "verdict", "reason"), CASES.values(), ids=CASES)
def test_a_refused_item(
    bench: Bench, sink: FakeSink, policy: str, answer: tuple[int, Any], verdict: str, reason: str
) -> None:
    first, refused, last = bench.put(3)
    sink.script = Script.always(ProxyFault(items={refused.document: answer}.get))
    metrics = bench.to(sink, outage_policy=policy)
    assert bench.end(refused) == end(verdict, reason, policy)
    assert [bench.end(first), bench.end(last)] == [DONE, DONE]
    assert sorted(sink.store.versions()) == sorted([first.document, last.document])
    assert metric(metrics, "outbox_processed_total") == 2
    assert (
        metric(metrics, "outbox_failed_total") == metric(metrics, "outbox_failed_total", reason=reason) == 1
    )


def test_payload_too_large__said_of_one_item(bench: Bench, sink: FakeSink) -> None:
    refused, neighbour = bench.put(2)
    sink.script = Script.always(ProxyFault(items={refused.document: error(413, "too_large_exception")}.get))
    bench.to(sink)
    assert [bench.end(refused), bench.end(neighbour)] == [end("fail", "payload_too_large", "count"), DONE]


@pytest.mark.parametrize("case", ["index_unavailable-missing", "write_blocked-8", "disk_full-429"])
def test_a_refused_delete(bench: Bench, sink: FakeSink, policy: str, case: str) -> None:
    answer, verdict, reason = CASES[case]
    (gone,) = bench.put()
    bench.to(sink)
    bench.sql.execute("DELETE FROM search_index")
    refused = bench.delete(gone.entity, 2)
    sink.script = Script.always(ProxyFault(items={refused.document: answer}.get))
    bench.to(sink, outage_policy=policy)
    assert bench.end(refused) == end(verdict, reason, policy)
    assert sink.store.versions() == {gone.document: 1}


def test_dropped__by_an_ingest_pipeline(bench: Bench, sink: FakeSink, policy: str) -> None:
    """Done, as the engine says, and counted: the index does not hold the document."""
    first, dropped, last = bench.put(3)
    sink.store.drops = {dropped.document}
    metrics = bench.deliver(sink.url, outage_policy=policy)
    assert {bench.end(put) for put in (first, dropped, last)} == {DONE}
    assert set(sink.store.versions()) == {first.document, last.document}
    assert metric(metrics, "outbox_idempotent_noop_total", op="upsert", reason="dropped") == 1
    assert metric(metrics, "outbox_idempotent_noop_total") == 1
    assert metric(metrics, "outbox_processed_total") == 3
