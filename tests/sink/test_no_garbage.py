"""A request leaves nothing behind that only the garbage collector can free: it comes by rarely."""

import gc
from collections.abc import Iterator
from contextlib import closing

import pytest
from elasticsearch import Elasticsearch

from outboxctl.domain.clock import Deadline
from outboxctl.settings import Settings
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect


@pytest.fixture
def sink(settings: Settings) -> Iterator[ElasticSink]:
    with closing(connect(settings)) as client:
        yield ElasticSink(client, settings.elastic_index)


@pytest.fixture
def _by_hand() -> Iterator[None]:
    """What was there before does not count, and nothing is collected meanwhile."""
    gc.disable()
    yield
    gc.enable()


def clients() -> int:
    return sum(isinstance(each, Elasticsearch) for each in gc.get_objects())


@pytest.mark.usefixtures("_by_hand")
def test_no_client_is_made_for_a_request(sink: ElasticSink) -> None:
    """Its forty namespaces are cycles: with each request a worker would grow until the collector comes by."""
    upsert, delete = BulkAction("block:1", 1, '{"text":"a"}'), BulkAction("block:2", 1, None)
    before = clients()
    assert all(sink.deliver([upsert, delete], deadline=Deadline.within(10.0)).findings)
    assert clients() == before
