"""What systemd hears."""

import socket
from pathlib import Path

import pytest

from outboxctl.worker.notify import notify

pytestmark = pytest.mark.no_servers


def test_a_supervisor_hears_the_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1", "STATUS=fine")
        assert supervisor.recv(100) == b"READY=1\nSTATUS=fine"


def test_a_supervisor_in_a_container_listens_on_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind("")  # Linux chooses an abstract name
        supervisor.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{supervisor.getsockname()[1:].decode()}")
        notify("READY=1")
        assert supervisor.recv(100) == b"READY=1"
