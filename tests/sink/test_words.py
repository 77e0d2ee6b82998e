"""A sink that gives no answer is described in plain words: which node it was, and what was waited for."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from unittest.mock import Mock

import pytest

from fakes import Script, fake_sink
from fakes.faults import answered
from outboxctl.domain.failures import Answer, Reason, classify
from outboxctl.domain.fingerprints import fingerprint
from outboxctl.domain.reason_texts import public_words
from outboxctl.drills import services
from sinks import delivered

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


def error_of(url: str, seconds: float = 20) -> tuple[Reason | None, str]:
    finding = delivered(url, seconds=seconds)
    return finding.reason, finding.error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(b"", "reset: {url} closed the connection before it answered POST /x/_bulk", id="closed"),
        pytest.param(None, "reset: {url} reset the connection before it answered POST /x/_bulk", id="reset"),
        pytest.param(
            HEAD + b"Content-Length: 99\r\n\r\n{",
            "connection_lost: {url} closed the connection in the middle of its answer to POST /x/_bulk",
            id="cut",
        ),
        pytest.param(
            b"SSH-2.0-OpenSSH\r\n",
            "connection_lost: the answer of {url} to POST /x/_bulk is not HTTP",
            id="not http",
        ),
    ],
)
def test_an_end_of_the_connection(server: Server, text: bytes | None, said: str) -> None:
    url = server(text)
    assert error_of(url) == (Reason.CONNECTION_LOST, said.format(url=url))


def test_refused() -> None:
    url = f"http://127.0.0.1:{services.fresh_port()}"
    assert error_of(url) == (Reason.CONNECT, f"connect: {url} refused the connection")


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        ("socket.getaddrinfo", socket.gaierror(socket.EAI_NONAME, "Not known"), "be resolved: Not known"),
        ("urllib3.util.connection.create_connection", OSError(113, "No route"), "be reached: No route"),
    ],
    ids=["name", "route"],
)
def test_nowhere_to_connect_to(
    monkeypatch: pytest.MonkeyPatch, target: str, error: OSError, said: str
) -> None:
    monkeypatch.setattr(target, Mock(side_effect=error))
    reason, text = error_of("http://127.0.0.1:9200")
    assert reason is Reason.CONNECT
    assert text.startswith("connect: ")
    assert "http://127.0.0.1:9200" in text
    assert text.endswith(said)


def test_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = f"timeout: {url} did not answer HEAD /_alias/x within 0.2 s"
        assert error_of(url, seconds=0.4) == (Reason.TIMEOUT, said)


def test_a_node_that_refuses_is_named_and_a_password_is_not() -> None:
    with fake_sink(Script.always(answered(503))) as sink:
        _, _, where = sink.url.partition("://")
        reason, error = error_of(f"http://somebody:opensesame@{where}")
    assert (reason, error.endswith(f" (from {sink.url})")) == (Reason.UNAVAILABLE, True), error


def test_the_probes_of_a_worker_name_no_host() -> None:
    absent = Answer(
        404, "index_not_found_exception", "no such index x", True, True, 0.0, True, "http://secret:1"
    )
    assert classify(absent).error.endswith(" (from http://secret:1)")
    for answer in (absent, Answer(503, "", "", request=True, node="http://secret:1")):
        assert "secret" not in public_words(classify(answer))


@pytest.mark.parametrize(
    "error",
    [
        "timeout: {} did not answer POST /x/_bulk within 22.5 s",
        "connect: {} refused the connection",
        "503 master_not_discovered_exception: null (from {})",
    ],
)
def test_failures_on_three_nodes_are_one_group(error: str) -> None:
    nodes = ["http://es-a.example:9200", "https://es-b.example:9201/path", "http://[::1]:9200"]
    assert len({fingerprint("x", error.format(node)) for node in nodes}) == 1
