"""An index that is deleted under a running worker stays deleted: a guessed mapping would spoil it."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from elasticsearch import Elasticsearch

from fakes import ProxyFault, Script, fake_sink
from fakes.faults import HEALTHY
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Reason, Verdict
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect
from servers import Servers

pytestmark = pytest.mark.real_engine
NO_ALIAS = "no such index [x] and [require_alias] request flag is [true] and [x] is not an alias"


def sent(sink: ElasticSink, version: int) -> Verdict:
    """What becomes of one upsert."""
    action = BulkAction("block:1", version, "{}")
    (finding,) = sink.deliver([action], deadline=Deadline.within(10)).findings
    assert finding
    return finding.verdict


def test_an_alias_that_was_away_once_is_insisted_on_again(
    servers: Servers, engine: Elasticsearch, index: str
) -> None:
    """Else a look-up would precede each request for ever, and the index may vanish after it."""
    concrete = f"{index}-000001"
    with fake_sink(upstream=servers.sink) as proxy, closing(connect(load(elastic_url=proxy.url))) as client:
        sink = ElasticSink(client, index)
        found = [sent(sink, 1)]
        engine.indices.delete_alias(index=concrete, name=index)
        found.append(sent(sink, 2))
        engine.indices.put_alias(index=concrete, name=index, is_write_index=True)
        found.append(sent(sink, 3))
        looked = len(proxy.lookups)
        found += [sent(sink, 4), sent(sink, 5)]
        assert len(proxy.lookups) == looked
    assert found == [Verdict.DONE, Verdict.OUTAGE, Verdict.DONE, Verdict.DONE, Verdict.DONE]


def test_an_engine_that_takes_an_alias_for_none_gets_documents_all_the_same(
    servers: Servers, index: str
) -> None:
    refused = ProxyFault(items=lambda _: (404, {"type": "index_not_found_exception", "reason": NO_ALIAS}))
    with (
        fake_sink(Script.of(refused, HEALTHY, refused), upstream=servers.sink) as proxy,
        closing(connect(load(elastic_url=proxy.url))) as client,
    ):
        sink = ElasticSink(client, index)
        assert [sent(sink, version) for version in (1, 2)] == [Verdict.DONE, Verdict.DONE]
        assert len(proxy.requests) == 4


@pytest.fixture
def sink(servers: Servers, index: str) -> Iterator[ElasticSink]:
    """The product's own, on this test's index."""
    with closing(connect(load(elastic_url=servers.sink))) as client:
        yield ElasticSink(client, index)


@pytest.mark.parametrize("document", ["{}", None], ids=["upsert", "delete"])
def test_between_two_deliveries(
    sink: ElasticSink, engine: Elasticsearch, index: str, document: str | None
) -> None:
    found = []
    for version in (1, 2):
        delivery = sink.deliver([BulkAction("block:1", version, document)], deadline=Deadline.within(10))
        found += [(finding.verdict, finding.reason) for finding in delivery.findings if finding]
        engine.options(ignore_status=404).indices.delete(index=f"{index}-000001")
    created = engine.options(ignore_status=404).indices.delete(index=index).meta.status != 404
    assert found == [(Verdict.DONE, None), (Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE)]
    assert not created
