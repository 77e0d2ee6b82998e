"""Both clients say the same of the same answer, and the right one is found without asking beforehand."""

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from fakes import FakeSink, fake_sink, faults
from fakes.faults import ProxyFault, answered, refused
from fakes.memory import Memory
from fakes.script import Script
from fakes.store import Store
from outboxctl.domain.clock import Deadline
from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.drills import services
from outboxctl.drills.proxy.faults import blackhole, busy
from outboxctl.drills.proxy.request import ProxyRequest
from outboxctl.drills.proxy.wire import PRODUCT, ProxyReply
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.engines.detected import EitherClient
from outboxctl.sink.transport import client as model
from outboxctl.sink.transport.lazy import OpeningSink
from outboxctl.sink.transport.open import connect
from outboxctl.sink.transport.wall_clock import SEEN, within

pytestmark = pytest.mark.no_servers
PRODUCTS = ("elasticsearch", "opensearch")
NO_MODULE = "outboxctl.sink.engines.opensearch"
PLAIN = {"Content_Type": "application/json", "X_Elastic_Product": "Elasticsearch"}
RETRY, OUTAGE, FAIL = Verdict.RETRY, Verdict.OUTAGE, Verdict.FAIL


def _deliver(url: str, product: str, *, seconds: float = 10.0) -> Classification:
    """What one event's delivery ends in."""
    with closing(connect(load(elastic_url=url, sink=product))) as client:
        (found,) = (
            ElasticSink(client, "x")
            .deliver([BulkAction("a:1", 1, "{}")], deadline=Deadline.within(seconds))
            .findings
        )
    assert found
    return found


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(
    ("fault", "verdict", "reason"),
    [
        pytest.param(faults.RESET_BEFORE, RETRY, Reason.CONNECTION_LOST, id="reset"),
        pytest.param(faults.DROP_AFTER, RETRY, Reason.CONNECTION_LOST, id="dropped"),
        pytest.param(faults.TRUNCATED, RETRY, Reason.CONNECTION_LOST, id="truncated"),
        pytest.param(faults.BAD_GZIP, RETRY, Reason.CONNECTION_LOST, id="gzip"),
        pytest.param(blackhole(), RETRY, Reason.TIMEOUT, id="silence"),
        pytest.param(faults.DRIPPED, RETRY, Reason.TIMEOUT, id="dripped"),
        pytest.param(faults.HTML, RETRY, Reason.BAD_RESPONSE, id="html"),
        pytest.param(faults.EMPTY, RETRY, Reason.BAD_RESPONSE, id="empty"),
        pytest.param(faults.NO_CONTENT, RETRY, Reason.BAD_RESPONSE, id="no content"),
        pytest.param(faults.A_LIST, RETRY, Reason.BAD_RESPONSE, id="a list"),
        pytest.param(faults.REDIRECT, OUTAGE, Reason.BAD_RESPONSE, id="redirect"),
        pytest.param(answered(401), OUTAGE, Reason.AUTH, id="401"),
        pytest.param(answered(413), FAIL, Reason.PAYLOAD_TOO_LARGE, id="413"),
        pytest.param(answered(503), OUTAGE, Reason.UNAVAILABLE, id="503 without a type"),
        pytest.param(answered(502, b"<html>", Content_Type="text/html"), RETRY, Reason.GATEWAY, id="502"),
        pytest.param(answered(500, b'["x"]', **PLAIN), RETRY, Reason.SERVER_ERROR, id="500 with a list"),
        pytest.param(
            refused(400, "x", "contains unrecognized parameter: [y]"), OUTAGE, Reason.CONFIG, id="parameter"
        ),
    ],
)
def test_both_say_the_same_of_the_same_answer(
    product: str, fault: ProxyFault, verdict: Verdict, reason: Reason
) -> None:
    with fake_sink(Script.always(fault)) as sink:
        found = _deliver(sink.url, product, seconds=0.5 if reason is Reason.TIMEOUT else 10.0)
    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize("product", PRODUCTS)
def test_both_say_when_to_come_again(product: str) -> None:
    with fake_sink(Script.always(busy(7))) as sink:
        found = _deliver(sink.url, product)
    assert (found.reason, found.retry_after) == (Reason.RATE_LIMITED, 7)


@pytest.mark.parametrize("product", [*PRODUCTS, "auto"])
def test_nobody_there_is_an_outage(product: str) -> None:
    url = f"http://127.0.0.1:{services.fresh_port()}"
    assert (_deliver(url, product).verdict, _deliver(url, product).reason) == (OUTAGE, Reason.CONNECT)
    with fake_sink() as sink:
        assert _deliver(sink.url.replace("http:", "https:"), product).reason is Reason.TLS


@pytest.mark.parametrize("product", PRODUCTS)
def test_both_send_the_credentials_and_hide_them(product: str) -> None:
    heard: list[str] = []

    class Ear(Memory):
        def answer(self, asked: ProxyRequest) -> ProxyReply:
            heard.append(asked.headers["authorization"])
            return super().answer(asked)

    with _sink(Ear(Store())) as sink:
        url = sink.url.replace("//", "//u:secret@")
        assert _deliver(url, product).verdict is Verdict.DONE
        with closing(connect(load(elastic_url=url, sink=product))) as client:
            assert "secret" not in client.where
    assert set(heard) == {"Basic dTpzZWNyZXQ="}


class OpenSearch(Memory):
    """As OpenSearch 2.19.6 is to either client: it names itself in GET / alone, and takes plain types."""

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
            assert there.lookups == ["HEAD /_alias/x", "GET /", "HEAD /_alias/x"]
        assert client.product == "opensearch"


class Reticent(OpenSearch):
    """OpenSearch to a user who may write and not ask `GET /`."""

    def answer(self, asked: ProxyRequest) -> ProxyReply:
        found = super().answer(asked)
        if asked.method == "GET" and asked.path == [""]:
            return ProxyReply(403, b'{"error": {"type": "security_exception"}}', {PRODUCT: None})
        return found


def test_who_may_not_ask_who_is_there_says_it_by_a_setting() -> None:
    with _sink(Reticent(Store())) as sink:
        found = _deliver(sink.url, "auto")
        assert (found.verdict, found.reason) == (OUTAGE, Reason.BAD_RESPONSE)
        assert _deliver(sink.url, "opensearch").verdict is Verdict.DONE


def test_elasticsearch_is_never_asked_who_it_is() -> None:
    with fake_sink() as sink:
        assert _deliver(sink.url, "auto").verdict is Verdict.DONE
        assert sink.lookups == ["HEAD /_alias/x"]


def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, NO_MODULE, None)
    monkeypatch.setattr(model, "find_spec", lambda _: None)
    with _sink(OpenSearch(Store())) as sink:
        found = _deliver(sink.url, "auto")
        assert (found.verdict, found.reason) == (OUTAGE, Reason.BAD_RESPONSE)
        assert "pip install 'outboxctl[opensearch]'" in found.error
    chosen = load(sink="opensearch")
    for opened in (lambda: OpeningSink(chosen, connections=1), lambda: connect(chosen)):
        with pytest.raises(UsageError, match="OUTBOX_SINK=opensearch") as raised:
            opened()
        assert "pip install" in str(raised.value.hint)


class Slow:
    """A client of a fake sink that notes how long each request may take, and takes a moment."""

    version, where = (0,), ""

    def __init__(self, product: str, times: list[float | None]) -> None:
        self.product, self._times = product, times

    def send(self, *_: Any) -> model.SinkReply:
        self._note()
        return model.SinkReply(404, {}, None)

    def root(self) -> model.SinkReply:
        self._note()
        version: Mapping[str, Any] = {"version": {"distribution": "opensearch"}}
        return model.SinkReply(200, {}, version)

    def close(self) -> None: ...

    def _note(self) -> None:
        self._times.append(SEEN.seconds)
        threading.Event().wait(0.01)


def test_finding_out_keeps_within_the_time_of_the_request() -> None:
    times: list[float | None] = []
    either = EitherClient(Slow("elasticsearch", times), lambda: Slow("opensearch", times))
    with within(10.0):
        either.send("GET", "/", {}, None)
    first, second, third = (seconds or 0 for seconds in times)
    assert 10.0 == first > second > third > 9.0


class Hanging(Slow):
    """As `Slow`; whoever asks it first who it is hears nothing until `answered`."""

    def __init__(self) -> None:
        super().__init__("elasticsearch", [])
        self.asked, self.answered = threading.Event(), threading.Event()

    def root(self) -> model.SinkReply:
        if self.asked.is_set():
            return super().root()
        self.asked.set()
        assert self.answered.wait(30)
        return model.SinkReply(503, {}, None)


def test_nobody_waits_for_an_answer_that_another_lane_waits_for() -> None:
    there = Hanging()
    either = EitherClient(there, lambda: Slow("opensearch", []))
    first = threading.Thread(target=either.send, args=("GET", "/", {}, None))
    first.start()
    assert there.asked.wait(30)
    second = threading.Thread(target=either.send, args=("GET", "/", {}, None), daemon=True)
    second.start()
    second.join(30)
    still_waits = second.is_alive()
    there.answered.set()
    first.join(30)
    assert not still_waits
    assert either.product == "opensearch"
