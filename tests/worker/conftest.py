"""Sinks that misbehave in ways that a real one cannot be made to show."""

from collections.abc import Iterator

import pytest

from servers import Servers
from sinks import proxy

SLOW = 1.0  # seconds a bulk request is held before it is passed on


@pytest.fixture
def slow_sink(servers: Servers) -> Iterator[str]:
    """The real sink, each bulk request a second late."""
    with proxy(servers.sink, SLOW) as url:
        yield url


@pytest.fixture
def silent_sink(servers: Servers) -> Iterator[str]:
    """The real sink, but a bulk request gets no answer while a test lasts."""
    with proxy(servers.sink, 3600) as url:
        yield url
