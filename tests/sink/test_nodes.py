"""Of several URLs, one that does not work is left alone, and a request goes to another where that is safe."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from time import monotonic, sleep

import pytest

from fakes import FakeSink, ProxyFault, Script, fake_sink
from fakes.faults import RESET_BEFORE, answered
from outboxctl.domain.failures import Answer
from outboxctl.drills import services
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction, body
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.node import NoAnswerError, SinkNode, SinkNodeConfig
from outboxctl.sink.transport.open import connect
from outboxctl.sink.transport.reply import SinkReply
from processes import eventually

pytestmark = pytest.mark.no_servers
NOT_YET = answered(503)
BULK = body([BulkAction("a:1", 1, "{}")])


@contextmanager
def silent() -> Iterator[str]:
    """A node that is frozen: its kernel takes connections and requests, and nothing answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _gone() -> str:
    return f"http://127.0.0.1:{services.fresh_port()}"


def _client(*urls: str, seconds: float = 4) -> closing[Client]:
    return closing(connect(load(elastic_url=",".join(urls)), timeout=seconds))


def _lookups(sink: FakeSink) -> list[str]:
    return [each for each in sink.lookups if each != "GET /"]


def _shares(opened: Client, *sinks: FakeSink, times: int = 4) -> list[int]:
    """How many requests each got of so many, probes aside."""
    for sink in sinks:
        sink.lookups.clear()
    for _ in range(times):
        opened.send("HEAD", "/x", {})
    return [len(_lookups(sink)) for sink in sinks]


def _both_in_turns(opened: Client, one: FakeSink, other: FakeSink) -> bool:
    return _shares(opened, one, other) == [2, 2]


def test_they_are_used_in_turns_one_that_fails_is_left_alone_and_comes_back() -> None:
    with fake_sink() as one, fake_sink() as other, _client(one.url, other.url) as opened:
        eventually(lambda: _both_in_turns(opened, one, other))
        one.script.lookups = NOT_YET
        assert _shares(opened, one, other) == [1, 4], "a request that reads was sent to the other at once"
        assert _shares(opened, one, other, times=20) == [0, 20]
        one.script.lookups = type(NOT_YET)()
        eventually(lambda: _both_in_turns(opened, one, other), within=10)


@pytest.mark.parametrize("status", [403, 413])
def test_a_refusal_is_not_the_fault_of_a_node(status: int) -> None:
    with fake_sink() as one, fake_sink() as other, _client(one.url, other.url) as opened:
        eventually(lambda: _both_in_turns(opened, one, other))
        one.script.lookups = answered(status)
        assert _shares(opened, one, other) == [2, 2]


def test_a_frozen_node_gets_nothing_but_probes_and_no_request_waits_for_it() -> None:
    with silent() as frozen, fake_sink() as sink, _client(frozen, sink.url) as opened:
        began = monotonic()
        replies = [opened.send("PUT", "/x/_bulk", {}, BULK) for _ in range(20)]
        assert all(isinstance(reply, SinkReply) for reply in replies), replies[:1]
        assert monotonic() - began < 2


def test_a_write_that_was_not_sent_goes_to_the_next_node_at_once() -> None:
    with fake_sink() as sink, _client(_gone(), _gone(), sink.url) as opened:
        assert all(isinstance(opened.send("PUT", "/x/_bulk", {}, BULK), SinkReply) for _ in range(6))


def test_a_write_that_may_have_been_sent_is_never_sent_to_another_node() -> None:
    with fake_sink() as one, fake_sink() as other, _client(one.url, other.url) as opened:
        eventually(lambda: _both_in_turns(opened, one, other))
        for sink in (one, other):
            sink.script.lookups = RESET_BEFORE
            sink.lookups.clear()
        answer = opened.send("POST", "/_aliases", {}, {"actions": []})
        assert isinstance(answer, Answer)
        assert answer.kind == "reset"
        assert len(_lookups(one)) + len(_lookups(other)) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/x"), ("HEAD", "/x"), ("POST", "/x/_search"), ("POST", "/x/_mget"), ("POST", "/x/_count")],
)
def test_what_reads_is_asked_of_another_node_after_no_answer(method: str, path: str) -> None:
    with fake_sink() as one, fake_sink() as other, _client(one.url, other.url) as opened:
        eventually(lambda: _both_in_turns(opened, one, other))
        one.script.lookups = RESET_BEFORE
        content = {"ids": ["a"]} if method == "POST" else None
        assert all(isinstance(opened.send(method, path, {}, content), SinkReply) for _ in range(3))


def test_where_none_works_the_error_names_the_node_that_was_tried_last() -> None:
    urls = [_gone(), _gone()]
    with _client(*urls) as opened:
        for _ in range(4):
            answer = opened.send("HEAD", "/x", {})
            assert isinstance(answer, Answer)
            assert answer.kind == "connect"
            assert answer.text in {f"{url} refused the connection" for url in urls}


def test_where_none_works_one_that_refuses_is_asked_before_one_that_is_silent() -> None:
    with silent() as frozen, fake_sink() as sink, _client(frozen, sink.url) as opened:
        sink.script.lookups = NOT_YET
        opened.send("HEAD", "/x", {})
        began = monotonic()
        assert all(isinstance(opened.send("PUT", "/x", {}, {}), SinkReply) for _ in range(5))
        assert monotonic() - began < 1


class Cluster(Script):
    """Answers `GET /_nodes/http`: it names `urls` as its nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def other(self, request: str) -> ProxyFault:
        if not request.startswith("GET /_nodes/http"):
            return self.lookups
        nodes = {url: {"roles": ["data"], "http": {"publish_address": url[7:]}} for url in self.urls}
        return answered(200, json.dumps({"nodes": nodes}).encode(), X_Elastic_Product="Elasticsearch")


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outboxctl.sink.transport.client.SOONER", 0.1)
    monkeypatch.setattr("outboxctl.sink.transport.discovery.INTERVAL", 0.1)


def _unnamed(said: list[str]) -> int:
    """How often it was said; a slow machine may also find a new node not to have answered yet."""
    return sum("does not name its nodes" in each for each in said)


@pytest.mark.usefixtures("looks_often")
def test_nodes_that_the_cluster_names_are_used_while_it_names_them() -> None:
    names, said = Cluster(), list[str]()
    with fake_sink(names) as named, fake_sink() as other:
        settings = load(elastic_url=named.url, sink_nodes="discovered")
        with closing(connect(settings, say=said.append)) as opened:
            for _ in range(2):
                names.urls = [named.url, other.url]
                eventually(lambda: all(_shares(opened, named, other)), what="the other one is used")
                names.urls = [named.url]
                eventually(lambda: not _shares(opened, named, other)[1], what="and no more")
            names.urls = []
            eventually(lambda: _shares(opened, named, other) and _unnamed(said), what="it says so")
            for _ in range(3):
                sleep(0.1)  # in which the transport looks again
                assert _shares(opened, named, other)[0] >= 4
    assert _unnamed(said) == 1


@pytest.mark.usefixtures("looks_often")
def test_addresses_that_nobody_can_reach_are_told_once_and_the_named_node_goes_on() -> None:
    names, said = Cluster(), list[str]()
    with fake_sink(names) as named:
        names.urls = [_gone()]
        settings = load(elastic_url=named.url, sink_nodes="discovered")
        with closing(connect(settings, say=said.append)) as opened:
            eventually(lambda: isinstance(opened.send("HEAD", "/x", {}), SinkReply) and said)
            assert all(isinstance(opened.send("PUT", "/x/_bulk", {}, BULK), SinkReply) for _ in range(5))
    assert ["no node answers at the addresses" in each for each in said] == [True]


def test_the_cluster_is_asked_again_soon_while_a_node_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outboxctl.sink.transport.client.SOONER", 0.1)
    names = Cluster()
    with fake_sink(names) as named, fake_sink() as other:
        names.urls = [_gone()]
        with closing(connect(load(elastic_url=named.url, sink_nodes="discovered"))) as opened:
            eventually(lambda: opened.send("HEAD", "/x", {}) and len(opened._pool) == 2)
            names.urls = [other.url]
            eventually(lambda: all(_shares(opened, named, other)), within=10)


def test_named_nodes_may_be_http_and_https(recwarn: pytest.WarningsRecorder) -> None:
    connect(load(elastic_url="http://one:9200,https://two:9200", sink_nodes="discovered")).close()
    assert not recwarn.list


def test_where_all_connections_are_busy_it_is_a_timeout() -> None:
    node = SinkNode(SinkNodeConfig("http", "127.0.0.1", 9, connections_per_node=1))
    assert node._pool.pool
    node._pool.pool.get()
    with pytest.raises(NoAnswerError) as raised:
        node.perform_request("GET", "/", request_timeout=0.1)
    assert (raised.value.answer.kind, "was free within" in raised.value.answer.text) == ("timeout", True)
