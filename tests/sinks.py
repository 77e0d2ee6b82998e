"""The project's own client, for tests that have an independent one."""

from elasticsearch import Elasticsearch

from outboxctl.settings import load
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect


def client_of(engine: Elasticsearch) -> Client:
    """A client of the same server."""
    urls = [node.base_url for node in engine.transport.node_pool.all()]
    return connect(load(elastic_url=",".join(urls), sink="elasticsearch"), timeout=30.0)
