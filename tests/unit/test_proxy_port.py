"""The fault proxy's port is its own from its first moment to its last, also while it refuses connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from outboxctl.drills.proxy import Proxy, faults

pytestmark = pytest.mark.no_servers
TURNS = 30


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy("http://127.0.0.1:1") as serving:
        yield serving


def port_of(proxy: Proxy) -> int:
    return int(proxy.url.rpartition(":")[2])


def bind(port: int, *, shared: bool) -> socket.socket:
    other = socket.socket()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, shared)
    try:
        other.bind(("127.0.0.1", port))
    except OSError:
        other.close()
        raise
    return other


def test_the_port_stays_its_own(proxy: Proxy) -> None:
    port = port_of(proxy)
    for _ in range(2):
        with proxy.fault(faults.refuse()):
            with pytest.raises(OSError, match="in use"):
                bind(port, shared=True)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 5)
        socket.create_connection(("127.0.0.1", port), 5).close()


def test_nobody_takes_the_port_at_the_moment_it_begins_or_ends_to_refuse(proxy: Proxy) -> None:
    port, over = port_of(proxy), threading.Event()
    taken: list[socket.socket] = []

    def grab() -> None:
        while not (over.is_set() or taken):
            with suppress(OSError):
                taken.append(bind(port, shared=False))  # as the kernel gives a port to a connection

    grabber = threading.Thread(target=grab)
    grabber.start()
    try:
        for _ in range(TURNS):
            with proxy.fault(faults.refuse()):
                pass
    finally:
        over.set()
        grabber.join()
        for other in taken:
            other.close()
    assert not taken
