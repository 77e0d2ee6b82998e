"""The project's own client, for tests that have an independent one, and what a delivery by it ends in."""

from contextlib import closing

from elasticsearch import Elasticsearch

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Classification
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect


def client_of(engine: Elasticsearch) -> Client:
    """A client of the same server."""
    urls = [node.base_url for node in engine.transport.node_pool.all()]
    return connect(load(elastic_url=",".join(urls), sink="elasticsearch"), timeout=30.0)


def delivered(
    url: str, document: str = "{}", *, seconds: float = 20.0, product: str = "auto"
) -> Classification:
    """What one document's delivery to this sink ends in."""
    with closing(connect(load(elastic_url=url, sink=product))) as client:
        send = [BulkAction("a:1", 1, document)]
        (found,) = ElasticSink(client, "x").deliver(send, deadline=Deadline.within(seconds)).findings
    assert found
    return found
