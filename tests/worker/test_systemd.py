"""A unit of `Type=notify`: systemd hears that the worker works, lives, and stops."""

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from processes import Worker


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(str(tmp_path / "notify"))
        own.settimeout(20)
        yield own


def hear(supervisor: socket.socket) -> list[str]:
    """One message, a state an item."""
    return supervisor.recv(1_000).decode().splitlines()


def hear_until(supervisor: socket.socket, state: str) -> None:
    """Pass over signs of life until this is said, however often it is too."""
    while state not in (message := hear(supervisor)):
        assert message[0] == "WATCHDOG=1", message


def test_the_supervisor_follows_the_worker(worker: Callable[..., Worker], supervisor: socket.socket) -> None:
    running = worker(NOTIFY_SOCKET=supervisor.getsockname())
    assert hear(supervisor) == ["READY=1"]
    assert running.get("/metrics")[0] == 200, "ready means: answers"
    hear_until(supervisor, "STATUS=ready")
    assert hear(supervisor)[0] == "WATCHDOG=1", "again and again"
    running.signal(signal.SIGTERM)
    hear_until(supervisor, "STOPPING=1")
    assert running.wait() == 0
