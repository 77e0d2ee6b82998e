"""Whatever a client sends, and however many there are: the proxy serves the next one, and ends whole."""

import gzip
import json
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from drills.chaos.conftest import Held
from drills.chaos.through import PLAIN, ask, bulk, connected, raw, write
from operations.doctor.fronts import front, self_signed
from outboxctl.domain.errors import UsageError
from outboxctl.drills import services
from outboxctl.drills.proxy import Proxy, body, faults, server, upstream
from outboxctl.drills.proxy.request import ProxyRequest
from outboxctl.drills.proxy.wire import ProxyReply
from outboxctl.net.certificates import SINK, Files
from processes import eventually
from servers import Servers

REAL = pytest.mark.real_engine
HEAD = b"PUT /any/_bulk HTTP/1.1\r\nUser-Agent: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"PUT /any/_bu", b""),
        (HEAD, b""),
        (b"DELETE /any HTTP/1.1\r\nUser-Agent: x", b""),
        (HEAD + b"Content-Length: 100\r\n\r\n{", b""),
        (HEAD + b"Content-Length: many\r\n\r\n", b"HTTP/1.1 400"),
        (HEAD + b"Content-Length: -1\r\n\r\n", b"HTTP/1.1 400"),
        (HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n", b"HTTP/1.1 400"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", b"HTTP/1.1 400"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 400"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{", b""),
        (HEAD + b"X: " + b"x" * 100_000 + b"\r\n\r\n", b"HTTP/1.1 431"),
        (HEAD + b"X: x\r\n" * 200 + b"\r\n", b"HTTP/1.1 431"),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 414"),
        (b"GET http://[/_bulk HTTP/1.1\r\nUser-Agent: x\r\n\r\n", b"HTTP/1.1 "),
        (b"GET /\xff\x7f HTTP/1.1\r\nUser-Agent: x\r\n\r\n", b"HTTP/1.1 502"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b""),
        pytest.param(HEAD + b"Content-Length: 9\r\n\r\nnonsense\n", b"HTTP/1.1 400", marks=REAL),
        pytest.param(
            HEAD + b"Content-Length: 20002\r\n\r\n" + b"[" * 20_001 + b"\n", b"HTTP/1.1 400", marks=REAL
        ),
    ],
    ids=range(19),
)
def test_half_and_broken_requests(proxy: Proxy, sent: bytes, status: bytes) -> None:
    with proxy.fault(faults.some_items(0.5)), suppress(OSError):
        assert raw(proxy, sent).startswith(status)
    assert status or proxy.counts.requests == 0, "what ends in the middle is no request"
    assert ask(proxy).status == 200


@REAL
def test_bodies_have_no_more_room_than_there_is_and_give_it_back(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = body.MemoryBudget(4_000)
    monkeypatch.setattr(server, "BUDGET", small)
    monkeypatch.setattr(upstream, "BUDGET", small)
    for _ in range(3):
        assert ask(proxy).status == 200
        assert raw(proxy, HEAD + b"Content-Length: 2500\r\n\r\n" + b"\n" * 2_500).startswith(b"HTTP/1.1 400")
    with suppress(ConnectionError):
        assert raw(proxy, HEAD + b"Content-Length: 4001\r\n\r\n" + b"\n" * 4_001) == b""
    assert ask(proxy).status == 200


@pytest.mark.parametrize(("promised", "sent", "said"), [(10, 5, b"IncompleteRead"), (900, 900, b"larger")])
def test_an_answer_that_is_cut_or_too_large_is_none(
    promised: int, sent: int, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "LARGEST", 100)
    with socket.create_server(("127.0.0.1", 0)) as sink, ThreadPoolExecutor() as pool:

        def answer() -> None:
            with sink.accept()[0] as connection:
                connection.recv(10_000)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (promised, b"x" * sent)
                )

        pool.submit(answer)
        reply = upstream.Upstream(f"http://127.0.0.1:{sink.getsockname()[1]}").answer(
            ProxyRequest("GET", "/", {}, b"")
        )
        body.BUDGET.release()
    assert reply.status == 502
    assert said in reply.body


def test_a_body_over_the_limit_is_reset_unread(proxy: Proxy) -> None:
    with pytest.raises(ConnectionResetError):
        raw(proxy, HEAD + b"Content-Length: 134217729\r\n\r\n")
    assert proxy.counts.requests == 0


def test_http_as_clients_speak_it(proxy: Proxy, target: str, held: Held) -> None:
    line, chunk = b"PUT /%b/_bulk HTTP/1.1\r\nUser-Agent: x\r\n" % target.encode(), bulk("a")
    head = line + b"Content-Type: application/json\r\n"
    with connected(proxy) as connection:

        def answer(sent: bytes) -> bytes:
            connection.sendall(sent)
            return connection.recv(65_536)

        assert answer(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(chunk)).startswith(
            b"HTTP/1.1 100"
        )
        assert answer(chunk).startswith(b"HTTP/1.1 200")
        half = len(bulk("b")) // 2
        pieces = [bulk("b")[:half], bulk("b")[half:], b""]
        framed = b"".join(b"%x;why=not\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        assert answer(head + b"Transfer-Encoding: chunked\r\n\r\n" + framed).startswith(b"HTTP/1.1 200")
        packed = gzip.compress(bulk("c"))
        sizes = b"Content-Encoding: gzip\r\nAccept-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        assert answer(head + sizes + packed).startswith(b"HTTP/1.1 200")
        found = answer(b"HEAD /%b HTTP/1.1\r\nUser-Agent: x\r\n\r\n" % target.encode())
        assert found.startswith(b"HTTP/1.1 200")
        assert found.endswith(b"\r\n\r\n"), "no body"
        assert answer(b"GET / HTTP/1.1\r\nUser-Agent: x\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert held() == ["a", "b", "c"]
    assert [recent.ids for recent in proxy.recent] == [("a",), ("b",), ("c",)]


def test_items_of_a_packed_request_are_refused_too(proxy: Proxy, target: str, held: Held) -> None:
    headers = PLAIN | {"Content-Encoding": "gzip"}
    with proxy.fault(faults.some_items(0.5)):
        seen = ask(proxy, f"/{target}/_bulk", gzip.compress(bulk(*"abcdefgh")), headers=headers)
    refused = [i["index"]["_id"] for i in json.loads(seen.body)["items"] if i["index"]["status"] == 429]
    assert 0 < len(refused) < 8
    assert held() == [id_ for id_ in "abcdefgh" if id_ not in refused]


@REAL
def test_what_the_sink_says_passes_unchanged(proxy: Proxy, servers: Servers) -> None:
    for path in ("/", "/_cat/nope", "/nothing-there/_doc/1"):
        with Proxy(servers.sink) as other:
            assert ask(proxy, path)[:2] == ask(other, path)[:2]
    seen = ask(proxy, "/_nodes/stats", headers={"Authorization": "Bearer \xe9"})
    assert "x-elastic-product" in seen.headers


def test_credentials_pass_and_those_of_the_address_are_added_where_there_are_none(servers: Servers) -> None:
    heard: list[str | None] = []

    def listen(asked: ProxyRequest, reply: ProxyReply) -> ProxyReply:
        heard.append(asked.headers.get("authorization"))
        return reply

    with front(servers.sink, {"/": listen}) as url:
        with Proxy(url.replace("//", "//user:p%40ss@")) as proxy:
            ask(proxy)
            ask(proxy, headers={"Authorization": "ApiKey abc"})
        with Proxy(url) as proxy:
            ask(proxy)
    assert heard == ["Basic dXNlcjpwQHNz", "ApiKey abc", None]


def test_tls_behind_it_is_verified(servers: Servers, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with front(servers.sink, {}, certificate=certificate) as url:
        with Proxy(url, files=Files(SINK, str(certificate))) as proxy:
            assert ask(proxy).status == 200
        with Proxy(url) as proxy:
            seen = ask(proxy)
            assert (seen.status, "CERTIFICATE_VERIFY_FAILED" in seen.body.decode()) == (502, True)
    with pytest.raises(UsageError, match="ELASTIC_CA_CERTS"):
        Proxy("https://127.0.0.1:9", files=Files(SINK, str(tmp_path / "none.pem")))


@pytest.mark.no_servers
def test_a_sink_that_is_away_is_said_to_be() -> None:
    with Proxy(f"http://127.0.0.1:{services.fresh_port()}") as proxy:
        seen = ask(proxy)
    error = json.loads(seen.body)["error"]
    assert (seen.status, error["type"]) == (502, "proxy_upstream_exception")
    assert "Connection refused" in error["reason"]
    assert "x-elastic-product" not in seen.headers


def test_many_clients_at_once_and_faults_that_come_and_go(proxy: Proxy, target: str) -> None:
    def send(number: int) -> int | None:
        with suppress(OSError, HTTPException):
            return write(proxy, target, f"{number}").status
        return None

    with ThreadPoolExecutor(16) as pool:
        sent = [pool.submit(send, number) for number in range(300)]
        for fault in (faults.busy(share=0.5), faults.reset_after(), faults.drip(0.001)) * 5:
            with proxy.fault(fault):
                enough = proxy.counts.requests + 5
                eventually(lambda: proxy.counts.requests > enough or all(f.done() for f in sent))  # noqa: B023 - called at once
        ended = [future.result() for future in sent]
    seen = proxy.counts
    assert seen.requests == seen.bulks == 300
    assert ended.count(429) == seen.by_fault["busy"]
    assert ended.count(None) == seen.by_fault["reset-after"] == seen.applied_then_lost
    assert sorted(bulk.number for bulk in proxy.recent) == list(range(100, 300)), "the last 200"


def served() -> int:
    return sum(thread.name == "proxy connection" for thread in threading.enumerate())


def test_more_connections_than_it_serves_are_reset_and_those_there_go_on(proxy: Proxy) -> None:
    with ExitStack() as stack:
        kept = [stack.enter_context(connected(proxy)) for _ in range(256)]
        eventually(lambda: served() == 256)
        with pytest.raises(ConnectionResetError), connected(proxy) as one_more:
            one_more.recv(1)
        kept[0].sendall(b"GET / HTTP/1.1\r\nUser-Agent: x\r\n\r\n")
        assert kept[0].recv(65_536).startswith(b"HTTP/1.1 200")
    eventually(lambda: served() == 0)
    assert ask(proxy).status == 200


@pytest.mark.no_servers
def test_at_its_end_nothing_is_left_and_nothing_more_is_applied() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    # A thread of an earlier test may end meanwhile: what counts is a thread that is new and stays.
    threads, files = set(threading.enumerate()), open_files()
    with socket.create_server(("127.0.0.1", 0)) as silent, ExitStack() as stack:
        with Proxy(f"http://127.0.0.1:{silent.getsockname()[1]}") as proxy:

            def begin(sent: bytes, *, requests: int) -> None:
                stack.enter_context(connected(proxy)).sendall(sent)
                eventually(lambda: proxy.counts.requests == requests)

            whole = HEAD + b"Content-Length: 0\r\n\r\n"
            begin(b"", requests=0)
            begin(whole[:20], requests=0)
            begin(b"GET /never/answered HTTP/1.1\r\n\r\n", requests=1)
            stack.enter_context(proxy.hold("before apply"))
            begin(whole, requests=2)
            proxy.set(faults.blackhole())
            begin(whole, requests=3)
            stack.enter_context(proxy.fault(faults.delay(3600)))
            begin(whole, requests=4)
            stack.enter_context(silent.accept()[0])
        silent.settimeout(0.2)
        with pytest.raises(TimeoutError):
            silent.accept()
    assert not set(threading.enumerate()) - threads
    assert open_files() <= files
