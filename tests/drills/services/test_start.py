"""What may go wrong on the way up, with the small engine."""

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills import services
from outboxctl.drills.services import Service, model

FOREVER = ["sleep", "300"]


def test_a_busy_port_gives_another_and_says_so(state: Path, said: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        engine = services.start_search(state, search="noida", port=taken, say=said.append)
    assert engine.port > taken
    assert f"search: port {taken} is taken, using {engine.port}" in said


def test_the_port_is_held_until_the_server_has_it(state: Path) -> None:
    held = []

    def say(line: str) -> None:
        if "starting noida" in line:  # and has bound nothing yet
            port = int(line.partition(" on port ")[2].split()[0])
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port))
            held.append(port)

    engine = services.start_search(state, search="noida", fresh=True, say=say)
    assert held == [engine.port]


def test_without_maven_there_is_still_an_engine(
    state: Path, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOXCTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnreachableError):
        services.start_search(state, search="elasticsearch")
    assert services.status(state) == []

    engine = services.start_search(state, port=services.fresh_port(), say=said.append)

    assert (engine.kind, engine.running) == ("noida", True)
    assert "tombstones" in engine.caveat
    assert any("using noida-db" in line for line in said)


def test_down_spares_a_process_that_only_has_the_pid(state: Path) -> None:
    with subprocess.Popen(FOREVER) as stranger:
        born = psutil.Process(stranger.pid).create_time()
        with model.locked(state, say=print):
            model.save(
                state, Service("search", "noida", 1, state / "noida" / "data", stranger.pid, born - 60)
            )

        assert services.down(state) == []

        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.slow(reason="starts both servers by the command, and again after it was killed")
def test_a_killed_up_leaves_nothing_unknown(state: Path) -> None:
    up = f"services.up({str(state)!r}, search='noida', fresh_ports=True)"
    code = f"from outboxctl.drills import services; {up}"
    with subprocess.Popen([sys.executable, "-c", code]) as command:
        # One that only runs is a shell, which ends unless the command lets it become the server.
        while not any(service.listens for service in services.status(state)):
            assert command.poll() is None
            time.sleep(0.005)
        command.send_signal(signal.SIGKILL)
    left = {service.pid for service in services.status(state) if service.listens}

    both = services.up(state, search="noida", fresh_ports=True)

    assert left <= {both.search.pid, both.postgres.pid}
    assert both.search.pid in left
    assert len(services.down(state)) == 2


def test_two_at_once_start_one(state: Path) -> None:
    def start(_: int) -> Service:
        return services.start_search(state, search="noida", port=port)

    port = services.fresh_port()
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(start, range(2))
    assert one == other


def test_a_state_folder_that_cannot_be_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write to"):
        services.up(tmp_path / "file" / "state")


def test_a_damaged_record_is_named(state: Path) -> None:
    state.mkdir()
    damaged = state / "services.json"
    damaged.write_text("[{}]")
    with pytest.raises(UsageError, match=r"services\.json is damaged"):
        services.status(state)
    damaged.unlink()
