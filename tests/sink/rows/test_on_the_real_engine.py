"""The same rows where the real Elasticsearch can be made to say it."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from servers import Servers
from sink.rows.bench import DONE, Bench, end, metric

pytestmark = pytest.mark.real_engine
Deliver = Callable[..., Any]


@pytest.fixture
def deliver(bench: Bench, servers: Servers, engine: Elasticsearch, index: str) -> Iterator[Deliver]:
    """Deliver to this test's index; when the test is over everything must hold that always must."""
    yield partial(bench.deliver, servers.sink, index=index)
    bench.check(engine, index)


def test_done(bench: Bench, deliver: Deliver, engine: Elasticsearch, index: str) -> None:
    batch = bench.put(3)
    metrics = deliver()
    assert {bench.end(put) for put in batch} == {DONE}
    assert all(lab.document(engine, index, put.entity)["text"] == "plain text" for put in batch)
    assert metric(metrics, "outbox_processed_total", op="upsert") == 3
    assert metric(metrics, "outbox_idempotent_noop_total") == 0


def test_delete_missing(bench: Bench, deliver: Deliver) -> None:
    put = bench.delete(uuid.uuid4())
    metrics = deliver()
    assert bench.end(put) == DONE
    assert metric(metrics, "outbox_idempotent_noop_total", reason="delete_missing") == 1


@pytest.mark.parametrize("op", ["upsert", "delete"])
def test_superseded(bench: Bench, deliver: Deliver, engine: Elasticsearch, index: str, op: str) -> None:
    put, neighbour = bench.delete(uuid.uuid4()) if op == "delete" else bench.put()[0], bench.put()[0]
    newer = {"version": 9, "version_type": "external_gte", "document": {"text": "newer"}}
    engine.index(index=index, id=put.document, **newer)  # type: ignore[arg-type] # mixed options
    metrics = deliver()
    assert [bench.end(put), bench.end(neighbour)] == [DONE, DONE]
    assert lab.document(engine, index, put.entity) == {"text": "newer"}
    assert metric(metrics, "outbox_idempotent_noop_total", op=op, reason="superseded") == 1


@pytest.mark.parametrize("bad", [{"rank_score": "NaN"}, {"rank_score": "-Infinity"}])
def test_mapping(bench: Bench, deliver: Deliver, bad: dict[str, Any]) -> None:
    before, (refused,), after = bench.put(), bench.put(**bad), bench.put()
    deliver()
    assert bench.end(refused) == end("fail", "mapping", "count")
    assert {bench.end(put) for put in before + after} == {DONE}


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        pytest.param("read_only", "write_blocked", id="write_blocked-5"),
        pytest.param("write", "write_blocked", id="write_blocked-8"),
        pytest.param("read_only_allow_delete", "disk_full", id="disk_full"),
    ],
)
def test_a_blocked_index_recovers(
    bench: Bench, deliver: Deliver, engine: Elasticsearch, index: str, policy: str, block: str, reason: str
) -> None:
    batch = [*bench.put(2), bench.delete(uuid.uuid4())]
    engine.indices.put_settings(index=f"{index}-000001", settings={f"index.blocks.{block}": True})
    deliver(outage_policy=policy)
    assert {bench.end(put) for put in batch} == {end("outage", reason, policy)}
    engine.indices.put_settings(index=f"{index}-000001", settings={f"index.blocks.{block}": None})
    bench.sql.execute("UPDATE search_outbox_events SET next_retry_at = NULL")
    deliver(outage_policy=policy)
    assert {bench.end(put).status for put in batch} == {"done"}


@pytest.mark.parametrize("op", ["upsert", "delete"])
def test_index_unavailable__missing(
    bench: Bench, deliver: Deliver, engine: Elasticsearch, index: str, policy: str, op: str
) -> None:
    put = bench.put()[0] if op == "upsert" else bench.delete(uuid.uuid4())
    deliver(index=f"{index}-missing", outage_policy=policy)
    assert bench.end(put) == end("outage", "index_unavailable", policy)
    assert not engine.indices.exists(index=f"{index}-missing"), "never created with a guessed mapping"


def test_index_unavailable__closed(
    bench: Bench, deliver: Deliver, engine: Elasticsearch, index: str, policy: str
) -> None:
    (put,) = bench.put()
    engine.indices.close(index=f"{index}-000001")
    deliver(outage_policy=policy)
    assert bench.end(put) == end("outage", "index_unavailable", policy)
    engine.indices.open(index=f"{index}-000001")


def test_index_unavailable__an_alias_without_a_write_index(
    bench: Bench, deliver: Deliver, engine: Elasticsearch, index: str, policy: str
) -> None:
    (put,) = bench.put()
    action = {"add": {"index": f"{index}-000001", "alias": index, "is_write_index": False}}
    engine.indices.update_aliases(actions=[action])
    deliver(outage_policy=policy)
    assert bench.end(put) == end("outage", "index_unavailable", policy)
