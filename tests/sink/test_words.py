"""A sink that gives no answer is described in plain words, by either client, and never in Python's."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Reason
from outboxctl.drills import services
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect

pytestmark = pytest.mark.no_servers
HEAD = b"HTTP/1.1 200 OK\r\nX-Elastic-Product: Elasticsearch\r\nContent-Type: application/json\r\n"
ALIAS_IS_THERE = HEAD + b"Content-Length: 0\r\n\r\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset
Server = Callable[[bytes | None], str]


def answer(connection: socket.socket, text: bytes | None) -> None:
    """The look-up is answered; the bulk request by `text` and the end of the connection, None by a reset."""
    with connection, suppress(OSError):
        asked = b""
        while some := connection.recv(65_536):
            asked += some
            if asked.startswith(b"HEAD ") and asked.endswith(b"\r\n\r\n"):
                connection.sendall(ALIAS_IS_THERE)
                asked = b""
            if not asked.endswith(b"\n{}\n"):
                continue  # all of it is read, so that no reset comes by itself
            if text is None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            else:
                connection.sendall(text)
            return


@pytest.fixture
def server() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(text: bytes | None) -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection, text), daemon=True).start()

        def start(text: bytes | None) -> str:
            threading.Thread(target=serve, args=(text,), daemon=True).start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start
        listener.shutdown(socket.SHUT_RDWR)


def error_of(url: str, product: str, seconds: float = 20) -> tuple[Reason | None, str]:
    sink = ElasticSink(connect(load(elastic_url=url, sink=product)), "x")
    (finding,) = sink.deliver([BulkAction("a:1", 1, "{}")], deadline=Deadline.within(seconds)).findings
    assert finding
    return finding.reason, finding.error


both = pytest.mark.parametrize("product", ["elasticsearch", "opensearch"])


@both
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(b"", "reset: the sink closed the connection before it answered", id="closed"),
        pytest.param(None, "reset: the sink reset the connection before it answered", id="reset"),
        pytest.param(
            HEAD + b"Content-Length: 99\r\n\r\n{",
            "connection_lost: the sink closed the connection in the middle of its answer",
            id="cut",
        ),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "connection_lost: the answer is not HTTP", id="not http"),
    ],
)
def test_an_end_of_the_connection(server: Server, product: str, text: bytes | None, said: str) -> None:
    assert error_of(server(text), product) == (Reason.CONNECTION_LOST, said)


@both
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
            "encoded: the answer has a content coding that was not asked for: gzip",
            id="gzip",
        ),
        pytest.param(
            b"Content-Length: 99999999999\r\n\r\n",
            "oversized: the answer is larger than 16,777,",
            id="too large",
        ),
    ],
)
def test_an_answer_that_is_not_read(server: Server, product: str, text: bytes, said: str) -> None:
    reason, error = error_of(server(HEAD + text), product)
    assert reason is (Reason.CONNECTION_LOST if said.startswith("encoded") else Reason.BAD_RESPONSE)
    assert error.startswith(said)


@both
def test_refused(product: str) -> None:
    port = services.fresh_port()
    said = f"connect: 127.0.0.1:{port} refused the connection"
    assert error_of(f"http://127.0.0.1:{port}", product) == (Reason.CONNECT, said)


@both
def test_no_such_name(product: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unresolved(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unresolved)
    said = "connect: the name sink.invalid cannot be resolved: Name or service not known"
    assert error_of("http://sink.invalid:9200", product) == (Reason.CONNECT, said)


@both
def test_no_route(product: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unroutable(*_: object, **__: object) -> object:
        raise OSError(113, "No route to host")

    monkeypatch.setattr("urllib3.util.connection.create_connection", unroutable)
    said = "connect: 127.0.0.1:9200 cannot be reached: No route to host"
    assert error_of("http://127.0.0.1:9200", product) == (Reason.CONNECT, said)


@both
def test_silence(product: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = "timeout: no answer in the time that the request may take"
        assert error_of(url, product, seconds=0.4) == (Reason.TIMEOUT, said)
