"""The project's own client, for tests that have an independent one."""

from elasticsearch import Elasticsearch

from outboxctl.sink.engines import ELASTICSEARCH
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import Security, node_config


def client_of(engine: Elasticsearch) -> Client:
    """A client of the same server."""
    nodes = [node_config(node.base_url, Security(None), 4) for node in engine.transport.node_pool.all()]
    return Client(nodes, ELASTICSEARCH, timeout=30.0)
