"""What comes back for a whole request: every row of the batch ends alike, and nothing is taken for done."""

import pytest

from fakes import FakeSink, ProxyFault, Script, faults
from fakes.faults import answered, refused
from outboxctl.drills.proxy.wire import ProxyReply
from sink.rows.bench import DONE, Bench, end, metric
from sink.rows.recorded import OPENSEARCH, request

BLOCK = "index [a] blocked by: [{}];"
HTML = b"<html>gateway</html>"
CUT_JSON = ProxyFault(reply=ProxyReply(200, b'{"errors":false,"items":[{"index":{"_id":'))
NO_MASTER = refused(503, "master_not_discovered_exception", "no master")
CASES = {
    "config-media type": (request("bad_media_type"), "outage", "config"),
    "config-media type in OpenSearch": (request("bad_media_type", OPENSEARCH), "outage", "config"),
    "config-unknown parameter": (request("unknown_parameter"), "outage", "config"),
    "config-405": (answered(405), "outage", "config"),
    "rate_limited-pressure": (request("indexing_pressure"), "refundable", "rate_limited"),
    "rate_limited-queue": (request("write_queue_full"), "refundable", "rate_limited"),
    "rate_limited-by a proxy": (answered(429, HTML), "refundable", "rate_limited"),
    "disk_full-429": (refused(429, "cluster_block_exception", BLOCK.format("/12/")), "outage", "disk_full"),
    "disk_full-403": (refused(403, "cluster_block_exception", BLOCK.format("/12/")), "outage", "disk_full"),
    "write_blocked-5": (
        refused(403, "cluster_block_exception", BLOCK.format("/5/")),
        "outage",
        "write_blocked",
    ),
    "write_blocked-8": (
        refused(403, "cluster_block_exception", BLOCK.format("/8/")),
        "outage",
        "write_blocked",
    ),
    "auth-401": (refused(401, "security_exception"), "outage", "auth"),
    "auth-403": (refused(403, "security_exception"), "outage", "auth"),
    "auth-by a proxy": (answered(401, HTML), "outage", "auth"),
    "index_unavailable-by a proxy": (answered(404, HTML), "outage", "index_unavailable"),
    "index_unavailable": (request("not_found_path"), "outage", "index_unavailable"),
    "unavailable-no master": (NO_MASTER, "outage", "unavailable"),
    "unavailable-without Content-Type": (answered(503, HTML), "outage", "unavailable"),
    "unavailable-empty": (answered(503), "outage", "unavailable"),
    "gateway-502": (answered(502, HTML, Content_Type="text/html"), "refundable", "gateway"),
    "gateway-504": (answered(504), "refundable", "gateway"),
    "server_error-500": (refused(500, "null_pointer_exception"), "refundable", "server_error"),
    "server_error-507": (answered(507), "refundable", "server_error"),
    "server_error-a list": (answered(500, b'["x"]'), "refundable", "server_error"),
    "connection_lost-truncated": (faults.TRUNCATED, "refundable", "connection_lost"),
    "connection_lost-bad gzip": (faults.BAD_GZIP, "refundable", "connection_lost"),
    "bad_response-HTML": (faults.HTML, "refundable", "bad_response"),
    "bad_response-empty": (faults.EMPTY, "refundable", "bad_response"),
    "bad_response-no content": (faults.NO_CONTENT, "refundable", "bad_response"),
    "bad_response-cut JSON": (CUT_JSON, "refundable", "bad_response"),
    "bad_response-a list": (faults.A_LIST, "refundable", "bad_response"),
    "bad_response-item missing": (faults.ITEM_MISSING, "refundable", "bad_response"),
    "bad_response-item too many": (faults.ITEM_TOO_MANY, "refundable", "bad_response"),
    "bad_response-ids swapped": (faults.IDS_SWAPPED, "refundable", "bad_response"),
    "bad_response-status not int": (faults.STATUS_NOT_INT, "refundable", "bad_response"),
    "bad_response-success and error": (faults.SUCCESS_AND_ERROR, "refundable", "bad_response"),
    "bad_response-nested": (faults.NESTED, "refundable", "bad_response"),
    "unavailable-nested": (
        ProxyFault(apply=False, reply=ProxyReply(503, faults.NESTED_BODY)),
        "outage",
        "unavailable",
    ),
    "bad_response-redirect": (faults.REDIRECT, "outage", "bad_response"),
    "unknown_exception": (answered(418), "refundable", "unknown_exception"),
}


@pytest.mark.parametrize(("fault", "verdict", "reason"), CASES.values(), ids=CASES)
def test_a_refused_request(
    bench: Bench, sink: FakeSink, policy: str, fault: ProxyFault, verdict: str, reason: str
) -> None:
    batch = bench.put(3)
    sink.script = Script.always(fault)
    metrics = bench.to(sink, outage_policy=policy)
    assert {bench.end(put) for put in batch} == {end(verdict, reason, policy)}
    assert len(sink.requests) == 1, "one try, no resend"
    assert metric(metrics, "outbox_processed_total") == 0
    assert metric(metrics, "outbox_es_bulk_requests_total", result=reason) == 1


def test_bad_response__product_header_missing_later_on(bench: Bench, sink: FakeSink, policy: str) -> None:
    (put,) = bench.put()
    sink.script = Script.always(faults.NO_PRODUCT)
    bench.to(sink, outage_policy=policy)
    assert bench.end(put) == end("outage", "bad_response", policy)


@pytest.mark.parametrize("fault", [NO_MASTER, answered(502), faults.TRUNCATED])
def test_the_last_attempt_ends_in_failed_but_under_hold_no_outage_takes_it(
    bench: Bench, sink: FakeSink, policy: str, fault: ProxyFault
) -> None:
    (put,) = bench.put()
    sink.script = Script.always(fault)
    bench.to(sink, outage_policy=policy, max_attempts=1)
    held = policy == "hold"
    assert bench.end(put).status == ("pending" if held else "failed")
    assert bench.end(put).attempts == (0 if held else 1)


@pytest.mark.parametrize(
    ("lookup", "reason"),
    [
        pytest.param(answered(401), "auth", id="auth"),
        pytest.param(answered(503), "unavailable", id="unavailable"),
        pytest.param(faults.NO_PRODUCT, "bad_response", id="bad_response"),
    ],
)
def test_a_look_up_that_is_refused_sends_nothing(
    bench: Bench, sink: FakeSink, policy: str, lookup: ProxyFault, reason: str
) -> None:
    (put,) = bench.put()
    sink.script.lookups = lookup
    bench.to(sink, outage_policy=policy)
    assert bench.end(put) == end("outage", reason, policy)
    assert sink.requests == []


def test_a_key_that_may_write_but_not_look_delivers(bench: Bench, sink: FakeSink) -> None:
    (put,) = bench.put()
    sink.script.lookups = answered(403)
    bench.to(sink)
    assert bench.end(put) == DONE
