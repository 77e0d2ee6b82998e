"""Sinks that misbehave in ways that a real one cannot be made to show."""

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from elasticsearch import Elasticsearch

from clusters import cluster
from fakes import ProxyFault, Script, fake_sink
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from servers import Servers, new_database
from worker.pg_nodes import Pair

SLOW = 1.0  # seconds a bulk request is held before it is passed on


@pytest.fixture
def slow_sink(servers: Servers) -> Iterator[str]:
    """The real sink, each bulk request a second late."""
    with fake_sink(Script.always(ProxyFault(before=SLOW)), upstream=servers.sink) as sink:
        yield sink.url


@pytest.fixture
def silent_sink(servers: Servers) -> Iterator[str]:
    """The real sink, but a bulk request gets no answer while a test lasts."""
    with fake_sink(Script.always(ProxyFault(before=3600)), upstream=servers.sink) as sink:
        yield sink.url


@pytest.fixture
def two(engine: Elasticsearch, index: str) -> Iterator[Pair]:
    """A fresh primary with an empty outbox, and a standby that has what it has."""
    with ExitStack() as stack:
        primary = stack.enter_context(cluster())
        url = new_database(primary.url)
        db = Database(url)
        upgrade(db, None)
        db.close()
        standby = stack.enter_context(primary.standby())
        both = Pair(primary, standby, url, engine, index)
        assert urlsplit(url).port == primary.port
        both.catch_up()
        yield both
