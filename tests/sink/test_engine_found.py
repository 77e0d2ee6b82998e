"""The engine is found without a request beforehand, and within the time of the request."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from time import monotonic

import pytest

from fakes import FakeSink, fake_sink
from fakes.memory import Memory
from fakes.script import Script
from fakes.store import Store
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Reason, Verdict
from outboxctl.drills import services
from outboxctl.drills.proxy.wire import PRODUCT, ProxyReply, ProxyRequest
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.engines import OPENSEARCH
from outboxctl.sink.transport.open import connect
from sinks import delivered

pytestmark = pytest.mark.no_servers


def test_credentials_are_sent_and_not_shown() -> None:
    heard: list[str] = []

    class Ear(Memory):
        def answer(self, asked: ProxyRequest) -> ProxyReply:
            heard.append(asked.headers["authorization"])
            return super().answer(asked)

    with _sink(Ear(Store())) as sink:
        url = sink.url.replace("//", "//u:secret@")
        assert delivered(url).verdict is Verdict.DONE
        with closing(connect(load(elastic_url=url))) as client:
            assert "secret" not in client.where
    assert set(heard) == {"Basic dTpzZWNyZXQ="}


class OpenSearch(Memory):
    """As OpenSearch 2.19.6: it names itself in GET / alone, and takes plain media types."""

    def answer(self, asked: ProxyRequest) -> ProxyReply:
        if "vnd.elasticsearch" in asked.headers.get("content-type", ""):
            reply = ProxyReply(406, b'{"error": "Content-Type header is not supported", "status": 406}')
        elif asked.method == "GET" and asked.path == [""]:
            reply = ProxyReply(200, json.dumps({"version": {"distribution": "opensearch"}}).encode())
        else:
            reply = super().answer(asked)
        return replace(reply, headers={**reply.headers, PRODUCT: None})


@contextmanager
def _sink(backend: Memory, port: int = 0) -> Iterator[FakeSink]:
    sink = FakeSink(port, Script(), backend._store, backend.answer)
    sink.listen()
    try:
        yield sink
    finally:
        sink.close()


def test_opensearch_is_met_without_a_lost_attempt_also_if_it_was_away() -> None:
    port = services.fresh_port()
    with closing(connect(load(elastic_url=f"http://127.0.0.1:{port}"))) as client:
        sink = ElasticSink(client, "x")
        send = [BulkAction("a:1", 1, "{}")]
        (away,) = sink.deliver(send, deadline=Deadline.within(5.0)).findings
        assert away
        assert away.reason is Reason.CONNECT
        with _sink(OpenSearch(Store()), port) as there:
            for _ in range(2):
                (found,) = sink.deliver(send, deadline=Deadline.within(5.0)).findings
                assert found
                assert found.verdict is Verdict.DONE
            assert there.lookups == ["HEAD /_alias/x", "GET /"], "nothing is sent twice"
        assert client.engine is OPENSEARCH


class Reticent(OpenSearch):
    """OpenSearch to a user who may write and not ask `GET /`."""

    def answer(self, asked: ProxyRequest) -> ProxyReply:
        found = super().answer(asked)
        if asked.method == "GET" and asked.path == [""]:
            return ProxyReply(403, b'{"error": {"type": "security_exception"}}', {PRODUCT: None})
        return found


def test_who_may_not_ask_who_is_there_says_it_by_a_setting() -> None:
    with _sink(Reticent(Store())) as sink:
        found = delivered(sink.url)
        assert (found.verdict, found.reason) == (Verdict.OUTAGE, Reason.BAD_RESPONSE)
        assert delivered(sink.url, product="opensearch").verdict is Verdict.DONE


def test_elasticsearch_is_never_asked_who_it_is() -> None:
    with fake_sink() as sink:
        assert delivered(sink.url).verdict is Verdict.DONE
        assert sink.lookups == ["HEAD /_alias/x"]


class Hesitant(OpenSearch):
    """OpenSearch that takes a part of the time for a look-up, and for `GET /` as long as it likes.

    The first `GET /` is not answered before `released`, and then by a refusal.
    """

    def __init__(self, *, pause: float = 0.0) -> None:
        super().__init__(Store())
        self.pause, self.asked, self.released = pause, threading.Event(), threading.Event()

    def answer(self, asked: ProxyRequest) -> ProxyReply:
        if asked.method == "GET" and asked.path == [""] and not self.asked.is_set():
            self.asked.set()
            self.released.wait(30)
            return ProxyReply(503, b"{}", {PRODUCT: None})
        threading.Event().wait(self.pause)
        return super().answer(asked)


def test_finding_out_keeps_within_the_time_of_the_request() -> None:
    there = Hesitant(pause=0.5)
    with _sink(there) as sink, closing(connect(load(elastic_url=sink.url))) as client:
        began = monotonic()
        client.send("HEAD", "/_alias/x", {}, seconds=1.0)
        assert there.asked.is_set()
        assert 0.9 < monotonic() - began < 1.4
        there.released.set()


def test_nobody_waits_for_an_answer_that_another_lane_waits_for() -> None:
    there = Hesitant()
    with _sink(there) as sink, closing(connect(load(elastic_url=sink.url))) as client:
        first = threading.Thread(target=client.send, args=("HEAD", "/_alias/x", {}))
        first.start()
        assert there.asked.wait(30)
        second = threading.Thread(target=client.send, args=("HEAD", "/_alias/x", {}), daemon=True)
        second.start()
        second.join(20)
        still_waits = second.is_alive()
        there.released.set()
        first.join(30)
        assert not still_waits
        assert client.engine is OPENSEARCH
