"""Whole deliveries of rows, and an index that cannot take them: nothing is lost, nothing is guessed."""

import uuid

import pytest

from engines.conftest import Send
from engines.node import Node
from outboxctl.domain.failures import Noop, Reason, Verdict
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.index.named import look
from outboxctl.sink.transport.client import Client
from servers import Servers
from sink.rows.bench import DONE, Bench, end, metric

pytestmark = pytest.mark.real_engine
UNAVAILABLE = (Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE)


def test_done__rows_become_documents_and_are_gone_again(
    bench: Bench, servers: Servers, node: Node, index: str
) -> None:
    batch = bench.put(3)
    metrics = bench.deliver(servers.sink, index=index)
    assert {bench.end(put) for put in batch} == {DONE}
    assert all(node.document(index, put.document)["text"] == "plain text" for put in batch)
    assert metric(metrics, "outbox_processed_total", op="upsert") == 3
    bench.sql.execute("DELETE FROM search_index")
    gone = [bench.delete(put.entity, 2) for put in batch]
    bench.deliver(servers.sink, index=index)
    assert {bench.end(put) for put in gone} == {DONE}
    assert not any(node.document(index, put.document) for put in batch)
    bench.check(node, index)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        pytest.param("read_only", "write_blocked", id="read only"),
        pytest.param("write", "write_blocked", id="no writes"),
        pytest.param("read_only_allow_delete", "disk_full", id="disk flood stage"),
    ],
)
def test_a_blocked_index_recovers(
    bench: Bench, servers: Servers, node: Node, index: str, block: str, reason: str
) -> None:
    batch = [*bench.put(2), bench.delete(uuid.uuid4())]
    node.block(index, block, on=True)
    bench.deliver(servers.sink, index=index, outage_policy="hold")
    assert {bench.end(put) for put in batch} == {end("outage", reason, "hold")}
    node.block(index, block, on=False)
    bench.deliver(servers.sink, index=index)
    assert {bench.end(put).status for put in batch} == {"done"}
    bench.check(node, index)


def test_delete_missing(bench: Bench, servers: Servers, index: str) -> None:
    put = bench.delete(uuid.uuid4())
    metrics = bench.deliver(servers.sink, index=index)
    assert bench.end(put) == DONE
    assert metric(metrics, "outbox_idempotent_noop_total", reason="delete_missing") == 1


@pytest.mark.parametrize("op", ["upsert", "delete"])
def test_superseded(bench: Bench, servers: Servers, node: Node, index: str, op: str) -> None:
    put, neighbour = bench.delete(uuid.uuid4()) if op == "delete" else bench.put()[0], bench.put()[0]
    node.put(index, put.document, 9, {"text": "newer"})
    metrics = bench.deliver(servers.sink, index=index)
    assert [bench.end(put), bench.end(neighbour)] == [DONE, DONE]
    assert node.document(index, put.document) == {"text": "newer"}
    assert metric(metrics, "outbox_idempotent_noop_total", op=op, reason="superseded") == 1


@pytest.mark.parametrize("document", ["{}", None], ids=["upsert", "delete"])
@pytest.mark.parametrize("before", [True, False], ids=["gone meanwhile", "never there"])
def test_a_missing_index_is_not_created(
    send: Send, node: Node, index: str, document: str | None, before: bool
) -> None:
    if before:
        assert send(BulkAction("block:1", 1, "{}"))[0][0] is Verdict.DONE
    node.ok("DELETE", f"/{index}-000001")
    assert send(BulkAction("block:1", 2, document)) == [UNAVAILABLE]
    assert not node.there(index)


def test_a_closed_index_is_an_outage(send: Send, node: Node, index: str) -> None:
    node.ok("POST", f"/{index}-000001/_close")
    assert send(BulkAction("block:1", 1, "{}")) == [UNAVAILABLE]
    node.ok("POST", f"/{index}-000001/_open")
    assert send(BulkAction("block:1", 1, "{}"))[0][0] is Verdict.DONE


def test_an_alias_without_a_write_index_is_an_outage(send: Send, node: Node, index: str) -> None:
    for no_writer in (False, True):
        action = {"add": {"index": f"{index}-000001", "alias": index, "is_write_index": not no_writer}}
        node.ok("POST", "/_aliases", {"actions": [action]})
        expected = UNAVAILABLE if no_writer else (Verdict.DONE, None)
        assert send(BulkAction("block:1", 1, "{}")) == [expected]


def test_a_concrete_index_takes_documents_too(bench: Bench, servers: Servers, node: Node, index: str) -> None:
    (put,) = bench.put()
    bench.deliver(servers.sink, index=f"{index}-000001")
    assert bench.end(put) == DONE
    bench.check(node, index)


@pytest.mark.parametrize("neighbours", [0, 7])
def test_a_request_refused_for_one_item_fails_that_event_alone(
    send: Send, node: Node, index: str, neighbours: int
) -> None:
    """The worker refuses such an id before it sends; here it stands for any line that is refused."""
    others = [BulkAction(f"block:{n}", 1, "{}") for n in range(neighbours)]
    done = (Verdict.DONE, None)
    assert send(*others, BulkAction("x" * 600, 1, "{}")) == [done] * neighbours + [
        (Verdict.FAIL, Reason.BAD_REQUEST)
    ]
    node.ok("POST", f"/{index}/_refresh")
    assert node.ok("GET", f"/{index}/_count")["count"] == neighbours, (
        "the question without an event left nothing"
    )


def test_an_ingest_pipeline_is_seen_and_what_it_drops_is_dropped(
    send: Send, client: Client, node: Node, index: str
) -> None:
    """Engines that come by Maven have no `drop` processor: there the setting alone is looked at."""
    nodes = node.ok("GET", "/_nodes/ingest")["nodes"].values()
    processors = {each["type"] for facts in nodes for each in facts.get("ingest", {}).get("processors", [])}
    node.ok("PUT", f"/{index}/_settings", {"index.default_pipeline": f"{index}-drop"})
    (found,) = look(client, index).indexes
    assert found.pipelines == {"default_pipeline": f"{index}-drop"}
    if "drop" in processors:
        node.ok("PUT", f"/_ingest/pipeline/{index}-drop", {"processors": [{"drop": {}}]})
        assert send(BulkAction("block:1", 1, "{}")) == [(Verdict.DONE, Noop.DROPPED)]
        assert node.document(index, "block:1") is None
        node.ok("DELETE", f"/_ingest/pipeline/{index}-drop")
    else:
        assert send(BulkAction("block:1", 1, "{}"))[0][0] is Verdict.FAIL, "there is no such pipeline"
