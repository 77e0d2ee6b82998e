"""Of several URLs, one that fails is left alone for a while, and is used again once it works."""

from contextlib import closing

import pytest

from fakes import FakeSink, fake_sink
from fakes.faults import answered
from outboxctl.domain import clock
from outboxctl.domain.failures import Answer
from outboxctl.drills import services
from outboxctl.settings import load
from outboxctl.sink.transport import client, node
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect

pytestmark = pytest.mark.no_servers
BUSY = answered(503)


class Later:
    """Moves the clock of the client."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return clock.monotonic() + self.seconds


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    moved = Later()
    monkeypatch.setattr(client, "monotonic", moved)
    monkeypatch.setattr(node, "monotonic", moved)
    return moved


def _requests(opened: Client, *sinks: FakeSink, times: int = 4) -> list[int]:
    """How many requests each got of so many."""
    for sink in sinks:
        sink.lookups.clear()
    for _ in range(times):
        opened.send("HEAD", "/x", {})
    return [len(sink.lookups) for sink in sinks]


def test_they_are_used_in_turns_and_one_that_fails_is_left_alone_longer_each_time(later: Later) -> None:
    with fake_sink() as one, fake_sink() as other:
        opened = connect(load(elastic_url=f"{one.url},{other.url}"))
        with closing(opened):
            assert _requests(opened, one, other) == [2, 2]
            one.script.lookups = BUSY
            assert _requests(opened, one, other, times=6)[0] == 1
            for pause in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
                later.seconds += pause - 0.5
                assert _requests(opened, one, other)[0] == 0, pause
                later.seconds += 0.6
                assert _requests(opened, one, other)[0] == 1, pause
            one.script.lookups = type(BUSY)()
            later.seconds += 31
            assert _requests(opened, one, other) == [2, 2]
            one.script.lookups = BUSY
            assert _requests(opened, one, other)[0] == 1
            later.seconds += 1.1
            assert _requests(opened, one, other)[0] == 1, "counted anew"


def test_a_refusal_is_not_the_fault_of_a_node() -> None:
    with fake_sink() as one, fake_sink() as other:
        one.script.lookups = answered(403)
        opened = connect(load(elastic_url=f"{one.url},{other.url}", sink="elasticsearch"))
        with closing(opened):
            assert _requests(opened, one, other) == [2, 2]


def test_where_none_works_one_is_tried_all_the_same() -> None:
    urls = ",".join(f"http://127.0.0.1:{services.fresh_port()}" for _ in range(2))
    with closing(connect(load(elastic_url=urls))) as opened:
        for _ in range(4):
            answer = opened.send("HEAD", "/x", {})
            assert isinstance(answer, Answer)
            assert answer.kind == "connect"


def test_a_connection_is_used_again() -> None:
    with fake_sink() as sink, closing(connect(load(elastic_url=sink.url), connections=1)) as opened:
        (only,) = opened._nodes
        opened.send("HEAD", "/x", {})
        (first,) = only._idle
        opened.send("GET", "/x/_count", {})
        assert list(only._idle) == [first]
        assert first.is_connected
