"""Sinks that misbehave in ways that a real one cannot be made to show."""

from collections.abc import Iterator

import pytest

from fakes import Fault, Script, fake_sink
from servers import Servers

SLOW = 1.0  # seconds a bulk request is held before it is passed on


@pytest.fixture
def slow_sink(servers: Servers) -> Iterator[str]:
    """The real sink, each bulk request a second late."""
    with fake_sink(Script.always(Fault(before=SLOW)), upstream=servers.sink) as sink:
        yield sink.url


@pytest.fixture
def silent_sink(servers: Servers) -> Iterator[str]:
    """The real sink, but a bulk request gets no answer while a test lasts."""
    with fake_sink(Script.always(Fault(before=3600)), upstream=servers.sink) as sink:
        yield sink.url
