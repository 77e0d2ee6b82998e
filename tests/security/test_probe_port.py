"""The port of the probes: whoever holds it open takes /healthz from nobody, and fills no log."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from processes import Worker, eventually


@pytest.fixture
def ready(worker: Callable[..., Worker]) -> Worker:
    """A worker that answers."""
    started = worker()
    eventually(lambda: started.get("/readyz")[0] == 200)
    eventually(
        lambda: "an outage of the sink fails events" in started.log.read_text(),
        what="the last line of its start",
    )
    return started


@pytest.fixture
def crowd() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def come(worker: Worker, crowd: ExitStack, sent: bytes = b"G") -> socket.socket:
    """Connect, and say no more than this."""
    client = crowd.enter_context(socket.socket())
    client.settimeout(5)
    client.connect(("127.0.0.1", worker.port))
    client.sendall(sent)
    return client


def test_who_says_nothing_takes_healthz_from_nobody(ready: Worker, crowd: ExitStack) -> None:
    for _ in range(50):
        come(ready, crowd)
    assert ready.get("/healthz")[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET /\xff\xfe\x1b]0;x\x07 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n: \r\n\x00\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\n\r\n",
    ],
    ids=range(4),
)
def test_a_broken_request_leaves_no_line_in_the_log(ready: Worker, crowd: ExitStack, sent: bytes) -> None:
    before = ready.log.read_text()
    client = come(ready, crowd, sent)
    with suppress(ConnectionError):
        while client.recv(65_536):
            pass
    assert ready.get("/healthz")[0] == 200
    assert ready.log.read_text() == before
