"""A port that was chosen for a server stays that server's: nobody else is given it in between."""

import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from outboxctl.drills import services
from outboxctl.drills.scratch import WorkerProcess
from outboxctl.drills.services import sockets

pytestmark = pytest.mark.no_servers
# A server that, like any other, sets SO_REUSEADDR; it says its port once it listens, and ends with its input.
SERVER = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", int(os.environ["OUTBOX_METRICS_PORT"])))
print("listening", flush=True)
listening.accept()
"""


def bind(port: int, *, shared: bool = False) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, shared)
        other.bind(("127.0.0.1", port))


def test_a_port_that_is_held_refuses_and_is_given_to_nobody() -> None:
    with closing(services.reserve_port()) as held:
        with pytest.raises(OSError, match="in use"):
            bind(held.port)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", held.port), 5)
        with pytest.raises(OSError, match="in use"):
            services.Reserved(held.port, unused=True)
    bind(held.port)


def test_its_server_listens_on_a_port_that_is_held() -> None:
    with closing(services.reserve_port()) as held, socket.create_server(("127.0.0.1", held.port)):
        socket.create_connection(("127.0.0.1", held.port), 5).close()
        held.close()
        socket.create_connection(("127.0.0.1", held.port), 5).close()


def test_no_connection_is_given_a_fresh_port() -> None:
    first, last = map(int, sockets.EPHEMERAL.read_text().split())
    for _ in range(50):
        port = services.fresh_port()
        assert not first <= port <= last
        bind(port)


def test_a_worker_of_a_lab_keeps_its_port_from_before_it_starts_until_it_has_ended(tmp_path: Path) -> None:
    worker = WorkerProcess({}, tmp_path, command=[sys.executable, "-c", SERVER])
    worker.start()
    try:
        with pytest.raises(OSError, match="in use"):
            bind(worker.port)  # it has not come to listening yet
        while "listening" not in worker.log_text():
            worker.must_live()
        with pytest.raises(OSError, match="in use"):
            bind(worker.port, shared=True)
    finally:
        worker.kill()
    bind(worker.port, shared=True)
