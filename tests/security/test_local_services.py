"""What `services up` starts: who can reach it, and who gets its password: no web page, no other user."""

import os
import socket
import struct
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills import services
from outboxctl.drills.services import engines, postgres
from outboxctl.drills.services.model import Service
from processes import eventually

PAGES = {
    "another site": {"Origin": "https://evil.example"},
    "a sandbox": {"Origin": "null"},
    "a page of this machine": {"Origin": "http://127.0.0.1:3000"},
}

# The first message of a client that asks for TLS or GSSAPI, and what a server says that wants a password.
REQUESTS, CLEARTEXT = (struct.pack("!I", 80877103), struct.pack("!I", 80877104)), 3


def asked(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> int:
    """The status; 0 where nobody answers."""
    try:
        request = urllib.request.Request(url, method=method, headers=headers or {})  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


@pytest.fixture(scope="module")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real engine, started as `services up` starts it."""
    service = Service(
        "search", "elasticsearch", services.fresh_port(), tmp_path_factory.mktemp("es") / "data"
    )
    try:
        command = engines.command(service, lambda _: None)
    except UnreachableError as error:
        pytest.skip(f"no real engine here: {error}")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as engine:
        try:
            eventually(lambda: asked(service.url) == 200 or engine.poll() is not None, within=120)
            yield service.url
        finally:
            engine.kill()


@pytest.mark.slow(reason="an engine of its own")
@pytest.mark.no_servers
def test_a_web_page_closes_no_index_of_a_real_engine(engine_url: str) -> None:
    assert asked(f"{engine_url}/kept", "PUT") == 200
    for headers in PAGES.values():
        assert asked(f"{engine_url}/kept/_close", "POST", headers) == 403
        assert asked(f"{engine_url}/kept", "DELETE", headers) == 403
    assert asked(f"{engine_url}/kept/_count") == 200, "open, and there"


class FalsePostgres(threading.Thread):
    """Another local user's: listens on a port that is reserved for a server, and asks for the password."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.heard: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", port))
        self.start()

    def run(self) -> None:
        """Let everybody in who says his password."""
        with suppress(OSError):
            while True:
                self._serve(self._listening.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError, struct.error):
            client.settimeout(10)
            while client.recv(struct.unpack("!I", client.recv(4))[0] - 4)[:4] in REQUESTS:
                client.sendall(b"N")
            client.sendall(b"R" + struct.pack("!II", 8, CLEARTEXT))
            if password := client.recv(1000):
                self.heard.append(password)
            client.sendall(b"R" + struct.pack("!II", 8, 0))
            client.sendall(b"S" + struct.pack("!I", 24) + b"server_version\x0018.1\x00")
            client.sendall(b"Z" + struct.pack("!I", 5) + b"I")
            client.recv(1000)

    def close(self) -> None:
        """Listen no longer."""
        self._listening.close()


@pytest.mark.slow(reason="initializes a PostgreSQL cluster")
@pytest.mark.no_servers
def test_who_takes_the_port_of_services_up_gets_no_password(tmp_path: Path) -> None:
    """A port that is bound and not listened on protects against no user who sets SO_REUSEADDR."""
    taken: list[FalsePostgres] = []

    def say(line: str) -> None:
        if "starting embedded" in line:  # the server has bound nothing yet
            taken.append(FalsePostgres(int(line.partition(" on port ")[2].split()[0])))

    state = tmp_path / "state"
    try:
        with pytest.raises(UnreachableError, match="postgres ended while it started"):
            services.start_postgres(state, fresh=True, fast=True, say=say)
        assert taken[0].heard == []
    finally:
        for each in taken:
            each.close()
        services.down(state, purge=True)


@pytest.mark.no_servers
def test_the_superusers_password_is_told_to_no_server_that_asks_for_it(tmp_path: Path) -> None:
    """Also where it came to listen a moment after our own was seen to listen."""
    port = services.fresh_port()
    with closing(FalsePostgres(port)) as listener:
        born = psutil.Process().create_time()
        service = Service("postgres", "embedded", port, tmp_path / "data", os.getpid(), born)
        service.password_file.write_text("s3cr3t")
        assert service.listens
        assert postgres.version(service) == ""
        assert listener.heard == []


@pytest.mark.no_servers
def test_a_stranger_that_answers_is_not_taken_for_our_server(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "300"]) as ours, socket.create_server(("127.0.0.1", 0)) as strangers:
        born, port = psutil.Process(ours.pid).create_time(), strangers.getsockname()[1]
        assert not Service("search", "noida", port, tmp_path / "data", ours.pid, born).listens
        ours.kill()
