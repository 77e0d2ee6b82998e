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


def heard(supervisor: socket.socket, state: bytes) -> bytes:
    """The first message but for those that say the same again."""
    while (message := supervisor.recv(100)) == state:
        pass
    return message


def test_the_supervisor_follows_the_worker(worker: Callable[..., Worker], supervisor: socket.socket) -> None:
    running = worker(NOTIFY_SOCKET=supervisor.getsockname())
    assert heard(supervisor, b"") == b"READY=1"
    assert heard(supervisor, b"READY=1") == b"WATCHDOG=1"
    assert supervisor.recv(100) == b"WATCHDOG=1", "again and again"
    running.signal(signal.SIGTERM)
    assert heard(supervisor, b"WATCHDOG=1") == b"STOPPING=1"
    assert running.wait() == 0
