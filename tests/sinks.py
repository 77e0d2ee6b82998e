"""The project's own client, for tests that have an independent one."""

from elasticsearch import Elasticsearch

from outboxctl.net.certificates import SINK, Files, Security
from outboxctl.sink.engines import ELASTICSEARCH
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.node import node_configs


def client_of(engine: Elasticsearch) -> Client:
    """A client of the same server."""
    urls = [node.base_url for node in engine.transport.node_pool.all()]
    return Client(node_configs(urls, Security(None, Files(SINK)), 4), ELASTICSEARCH, timeout=30.0)
