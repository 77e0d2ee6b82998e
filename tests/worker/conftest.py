"""Sinks that misbehave in ways that a real one cannot be made to show."""

from collections.abc import Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes import ProxyFault, Script, fake_sink
from fakes.postgres_proxy import Proxy, postgres_proxy
from scene import Scene
from servers import Servers

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
def scene(sql: psycopg.Connection, engine: Elasticsearch, index: str) -> Scene:
    """This test's database and index, with what must hold in them."""
    return Scene(sql, engine, index)


@pytest.fixture
def database_proxy(url: str) -> Iterator[Proxy]:
    """A proxy in front of this test's database."""
    with postgres_proxy(url) as proxy:
        yield proxy
