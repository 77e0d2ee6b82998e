"""What passes the proxy passes unchanged, and at its end nothing is left."""

import gzip
import json
import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from drills.chaos.conftest import Held
from drills.chaos.through import PLAIN, ask, bulk, connected, raw
from operations.doctor.fronts import front
from outboxctl.domain.errors import UsageError
from outboxctl.drills import services
from outboxctl.drills.proxy import Proxy, faults
from outboxctl.drills.proxy.wire import ProxyReply, ProxyRequest
from outboxctl.net.certificates import SINK, Files
from processes import eventually
from servers import Servers
from tls import Papers

HEAD = b"PUT /any/_bulk HTTP/1.1\r\nUser-Agent: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (HEAD + b"Content-Length: 100\r\n\r\n{", b""),
        (HEAD + b"Content-Length: many\r\n\r\n", b"HTTP/1.1 411"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"HTTP/1.1 411"),
    ],
    ids=("nothing", "half a body", "no length", "chunked"),
)
def test_what_is_no_whole_request_is_not_passed_on(proxy: Proxy, sent: bytes, status: bytes) -> None:
    assert raw(proxy, sent).startswith(status)
    assert proxy.counts.requests == 0
    assert ask(proxy).status == 200


def test_items_of_a_packed_request_are_refused_too(proxy: Proxy, target: str, held: Held) -> None:
    headers = PLAIN | {"Content-Encoding": "gzip"}
    with proxy.fault(faults.some_items(0.5)):
        seen = ask(proxy, f"/{target}/_bulk", gzip.compress(bulk(*"abcdefgh")), headers=headers)
    refused = [i["index"]["_id"] for i in json.loads(seen.body)["items"] if i["index"]["status"] == 429]
    assert 0 < len(refused) < 8
    assert held() == [id_ for id_ in "abcdefgh" if id_ not in refused]


@pytest.mark.real_engine
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
    certificate = Path(Papers(tmp_path).self_signed()[0])
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
            begin(b"GET /never/answered HTTP/1.1\r\n\r\n", requests=1)
            stack.enter_context(proxy.hold("before apply"))
            begin(whole, requests=2)
            proxy.set(faults.blackhole())
            begin(whole, requests=3)
            proxy.set(faults.delay(3600))
            begin(whole, requests=4)
            stack.enter_context(silent.accept()[0])
        silent.settimeout(0.2)
        with pytest.raises(TimeoutError):
            silent.accept()
    eventually(lambda: not set(threading.enumerate()) - threads)
    eventually(lambda: open_files() <= files)
