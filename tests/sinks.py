"""The project's own client, for tests that have an independent one."""

from elasticsearch import Elasticsearch

from outboxctl.sink.engines import ELASTICSEARCH
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.credentials import Security
from outboxctl.sink.transport.node import Node


def client_of(engine: Elasticsearch) -> Client:
    """A client of the same server."""
    security = Security(None)
    nodes = [Node(node.base_url, security, 4) for node in engine.transport.node_pool.all()]
    return Client(nodes, ELASTICSEARCH, None, timeout=30.0)
