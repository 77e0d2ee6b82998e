"""An index that is deleted under a running worker stays deleted: a guessed mapping would spoil it."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from elasticsearch import Elasticsearch

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Reason, Verdict
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect
from servers import Servers

pytestmark = pytest.mark.real_engine


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
