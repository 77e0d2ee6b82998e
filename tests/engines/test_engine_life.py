"""An engine with tight limits that is killed on the way: a real 413, a real 429, a real recovery."""

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from acceptance import lab
from engines.conftest import KIND
from engines.node import Node
from invariants import check_invariants
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Reason, Verdict
from outboxctl.drills.services import place
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.index.index_setup import ensure
from outboxctl.sink.transport.open import connect
from processes import Worker, eventually
from scene import LOAD
from search_node import ClusterNode

pytestmark = [pytest.mark.real_engine, pytest.mark.timeout(180)]
INDEX, TOTAL = "tight", 2_000
# 500 events are some 190 kB: over the limit of a request, and their halves over what may be indexed.
TIGHT = {
    "discovery.type": "single-node",
    "http.max_content_length": "150kb",
    "indexing_pressure.memory.limit": "60kb",
}
READY = "/_cluster/health?wait_for_status=yellow&timeout=1s"
BULK = {
    "OUTBOX_BULK_SIZE": "500",
    "OUTBOX_CONCURRENCY": "2",
    "OUTBOX_OUTAGE_POLICY": "hold",
    "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
    "OUTBOX_MAX_BACKOFF_SECONDS": "0.5",
    "OUTBOX_MAX_ATTEMPTS": "100",
}


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[ClusterNode]:
    """An engine of this kind for the test alone."""
    node = ClusterNode("tight", place.home(tmp_path, "tight"))
    try:
        node.start(KIND, TIGHT, print)
        eventually(lambda: node.ask(READY), within=120, what="an engine that answers")
        yield node
    finally:
        node.end(signal.SIGKILL)
        node.release()
        shutil.rmtree(node.home)


@pytest.mark.slow(reason="starts an engine of its own and kills it")
def test_an_engine_that_takes_little_at_a_time_and_is_killed_gets_everything(
    tight: ClusterNode, sql: psycopg.Connection, worker: Callable[..., Worker]
) -> None:
    url = tight.url
    with closing(connect(load(elastic_url=url))) as client:
        ensure(client, INDEX)
    sql.execute(LOAD, [TOTAL])
    running = worker(**BULK, ELASTIC_URL=url, ELASTIC_INDEX=INDEX)
    eventually(lambda: lab.by_status(sql).get("done"), what="under way")
    tight.end(signal.SIGKILL)
    eventually(lambda: running.get("/readyz")[0] == 503, what="said that the sink is away")
    tight.start(KIND, TIGHT, print)
    eventually(lambda: lab.by_status(sql) == {"done": TOTAL}, what="all done")
    check_invariants(sql, Node(url), INDEX, rows=TOTAL)
    for refusal in ("payload_too_large", "rate_limited", "connect"):
        assert refused(running, refusal), refusal
    assert running.metric("outbox_terminal_failed_total") == 0
    refuses_what_is_too_much(url)


def refused(running: Worker, reason: str) -> float:
    """How often a whole request was, or (OpenSearch, with its queue full) an item of one."""
    requests = running.metric("outbox_es_bulk_requests_total", result=reason)
    return requests or running.metric("outbox_retry_scheduled_total", reason=reason)


def refuses_what_is_too_much(url: str) -> None:
    """413 and 429 as they really come."""
    big, huge = (f'{{"text": "{"x" * size}"}}' for size in (100_000, 200_000))
    with closing(connect(load(elastic_url=url))) as client:
        sink = ElasticSink(client, INDEX)
        for document, end in (
            (huge, (Verdict.FAIL, Reason.PAYLOAD_TOO_LARGE)),
            (big, (Verdict.RETRY, Reason.RATE_LIMITED)),
            ("{}", (Verdict.DONE, None)),
        ):
            (found,) = sink.deliver(
                [BulkAction("block:1", 1, document)], deadline=Deadline.within(30.0)
            ).findings
            assert found
            assert (found.verdict, found.reason) == end, f"{KIND}: {found}"
