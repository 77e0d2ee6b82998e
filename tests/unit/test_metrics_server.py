"""The worker's HTTP server, asked by those who do not wait for the answer."""

import socket
import struct
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from outboxctl.drills.services import fresh_port
from outboxctl.metrics.registry import Metrics
from outboxctl.metrics.server import MetricsServer
from outboxctl.worker.daemon import addresses
from processes import eventually

pytestmark = pytest.mark.no_servers
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


@contextmanager
def serving(host: str = "127.0.0.1", alive: Any = dict) -> Iterator[tuple[str, int]]:
    """A server, and where it listens."""
    port = fresh_port()
    server = MetricsServer(host, port, Metrics(), alive=alive, ready=dict, last_success=lambda: None)
    server.start()
    yield host, port
    server.stop()


def answer_of(where: tuple[str, int], path: str) -> bytes:
    with urllib.request.urlopen(addresses(*where)[path]) as answer:  # noqa: S310 - ours
        return bytes(answer.read())


@pytest.mark.parametrize("said", [b"", b"GET /met", b"GET /metrics HTTP/1.0\r\n\r\n" * 50])
def test_a_scraper_that_goes_away_leaves_no_traceback(said: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with serving() as where:
        with socket.create_connection(where) as client:
            client.sendall(said)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        answer_of(where, "healthz")  # whoever came before has been let in by now
        eventually(lambda: not any("process_request" in each.name for each in threading.enumerate()))
    assert capfd.readouterr().err == ""


def test_an_error_of_ours_costs_one_answer_and_is_counted() -> None:
    with serving(alive=Mock(side_effect=KeyError("a defect"))) as where:
        with capture_logs() as logs, pytest.raises(OSError, match=r".*"):
            answer_of(where, "healthz")
        counted = [line for line in answer_of(where, "metrics").decode().splitlines() if "unexpected" in line]
    assert counted[-1].endswith(" 1.0")
    assert [(line["thread"], line["error"]) for line in logs] == [("http", "KeyError: 'a defect'")]


@pytest.mark.parametrize("path", ["metrics", "healthz"])
def test_head_is_answered_without_a_body_and_the_server_is_named_without_versions(path: str) -> None:
    with serving() as where, socket.create_connection(where) as client, client.makefile("rb") as answer:
        client.sendall(f"HEAD /{path} HTTP/1.0\r\n\r\n".encode())
        said = answer.read().decode()
    assert said.startswith("HTTP/1.0 200 OK")
    assert said.endswith("\r\n\r\n"), "no body"
    assert "\r\nServer: outboxctl\r\n" in said
    assert "Content-Length: 0" not in said, "that of the body of a GET"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "127.0.0.1", "localhost"])
def test_it_listens_on_an_address_of_either_kind(host: str) -> None:
    with serving(host) as where:
        assert b"healthy" in answer_of(where, "healthz")
