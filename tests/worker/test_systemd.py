"""A unit of `Type=notify`: systemd hears that the worker works, lives, and stops."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outboxctl.core.database import Database
from outboxctl.settings import Settings
from outboxctl.sink.transport.lazy import OpeningSink
from outboxctl.worker.daemon import Daemon
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


def test_the_status_says_what_fails(worker: Callable[..., Worker], supervisor: socket.socket) -> None:
    worker(NOTIFY_SOCKET=supervisor.getsockname(), ELASTIC_URL="http://127.0.0.1:1")
    assert hear(supervisor) == ["READY=1"], "a sink that is away is no reason to restart a worker"
    while not (status := hear(supervisor)[1]).startswith("STATUS=sink: connect"):
        assert status.startswith(("STATUS=sink: not checked yet", "STATUS=database: not checked yet")), status


def test_a_worker_that_hangs_gives_no_sign_of_life(
    worker: Callable[..., Worker], supervisor: socket.socket
) -> None:
    running = worker(NOTIFY_SOCKET=supervisor.getsockname())
    assert hear(supervisor) == ["READY=1"]
    hear_until(supervisor, "STATUS=ready")
    running.signal(signal.SIGSTOP)
    supervisor.settimeout(2.5)  # two signs of life would have come
    with pytest.raises(TimeoutError):
        [hear(supervisor) for _ in range(3)]  # one may have been on its way


def test_a_worker_whose_thread_died_gives_no_sign_of_life(
    settings: Settings, db: Database, supervisor: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", supervisor.getsockname())
    daemon = Daemon(settings, db, sink := OpeningSink(settings, connections=1), sink)
    thread = threading.Thread(target=lambda: None)
    daemon._helpers = [thread]
    thread.start()
    thread.join()
    daemon._watchdog()
    supervisor.setblocking(False)
    with pytest.raises(BlockingIOError):
        hear(supervisor)
    daemon._helpers.clear()
    daemon._watchdog()
    assert hear(supervisor)[0] == "WATCHDOG=1", "it was the thread"
