"""A sink that drips its answer must not hold a batch beyond its lease."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from time import monotonic

import pytest

from outboxctl.domain import clock
from outboxctl.domain.failures import Reason, Verdict
from outboxctl.net import deadline
from outboxctl.net.deadline import GUARD, Guard
from outboxctl.sink.transport import connection
from processes import eventually
from sinks import delivered

pytestmark = pytest.mark.no_servers
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Elastic-Product: Elasticsearch\r\n"
Serve = Callable[[socket.socket], None]


def drip(connection: socket.socket, start: bytes) -> None:
    """Send `start`, then a byte every 50 ms: no single read ever waits long."""
    connection.recv(65_536)
    connection.sendall(start)
    with suppress(OSError):
        for _ in range(400):
            connection.sendall(b" ")
            threading.Event().wait(0.05)


@pytest.fixture
def dripping() -> Iterator[Callable[[bytes], str]]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(start: bytes) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=drip, args=(connection, start), daemon=True).start()

    def start(first: bytes) -> str:
        threading.Thread(target=serve, args=(first,), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    listener.close()


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(HEAD + b"Content-Length: 100000\r\n\r\n", id="body"),
        pytest.param(HEAD + b"Connection: close\r\n\r\n", id="body without a length"),
        pytest.param(HEAD + b"X-Slow: ", id="header"),
    ],
)
def test_a_dripped_answer_ends_at_the_deadline_as_a_timeout(
    dripping: Callable[[bytes], str], start: bytes
) -> None:
    url, began = dripping(start), monotonic()
    finding = delivered(url, seconds=0.5)
    assert 0.2 < monotonic() - began < 2
    assert (finding.verdict, finding.reason) == (Verdict.RETRY, Reason.TIMEOUT)


def test_the_guard_forgets_what_ended_in_time() -> None:
    with GUARD.over(60) as watch:
        pass
    assert watch not in GUARD._watched
    assert not watch.expired


def test_a_suspended_hour_ends_what_is_watched_although_waits_do_not_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadline, "LOOK", 0.05)
    now, looks = [0.0], count(1)
    looked = [0]

    def look() -> float:
        looked[0] = next(looks)
        return now[0]

    monkeypatch.setattr(deadline, "monotonic", look)
    with Guard().over(3_600) as watched:
        # One for the deadline; its thread's for what is overdue, for the time to wake, and for the wait.
        eventually(lambda: looked[0] >= 4, what="its thread waits")
        now[0] += 3_600
        eventually(lambda: watched.expired, within=10, what="looked at")


def test_a_request_whose_time_passed_while_it_connected_is_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The machine was suspended in between: its document is an hour old."""
    monkeypatch.setattr(connection, "monotonic", lambda: clock.monotonic() + 3_600)
    monkeypatch.setattr(connection, "LEAST", 10)
    with socket.create_server(("127.0.0.1", 0)) as server:
        finding = delivered(f"http://127.0.0.1:{server.getsockname()[1]}", seconds=5)
        server.settimeout(10)
        accepted, _ = server.accept()
        with accepted:
            accepted.settimeout(10)
            assert accepted.recv(1) == b"", "closed without a byte"
    assert finding.reason is Reason.TIMEOUT
