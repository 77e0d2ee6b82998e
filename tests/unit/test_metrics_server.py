"""The worker's HTTP server, asked by those who do not wait for the answer."""

import socket
import struct
import threading
import urllib.request

import pytest
from structlog.testing import capture_logs

from outboxctl.drills.services import fresh_port
from outboxctl.metrics.registry import Metrics
from outboxctl.metrics.server import MetricsServer
from outboxctl.worker.daemon import addresses
from processes import eventually

pytestmark = pytest.mark.no_servers
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


@pytest.mark.parametrize("said", [b"", b"GET /met", b"GET /metrics HTTP/1.0\r\n\r\n" * 50])
def test_a_scraper_that_goes_away_leaves_no_traceback(said: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    port = fresh_port()
    server = MetricsServer("127.0.0.1", port, Metrics(), alive=dict, ready=dict, last_success=lambda: None)
    server.start()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(said)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        answer.read()  # whoever came before has been let in by now
    eventually(lambda: not any("process_request" in each.name for each in threading.enumerate()))
    server.stop()
    assert capfd.readouterr().err == ""


def test_an_error_of_ours_costs_one_answer_and_is_counted() -> None:
    metrics, port = Metrics(), fresh_port()
    answers = iter([KeyError("a defect")])

    def alive() -> dict[str, str]:
        raise next(answers)

    server = MetricsServer("127.0.0.1", port, metrics, alive=alive, ready=dict, last_success=lambda: None)
    server.start()
    with capture_logs() as logs, pytest.raises(OSError, match=r".*"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        counted = [line for line in answer.read().decode().splitlines() if "unexpected" in line]
    server.stop()
    assert counted[-1].endswith(" 1.0")
    assert [(line["thread"], line["error"]) for line in logs] == [("http", "KeyError: 'a defect'")]


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "127.0.0.1", "localhost"])
def test_it_listens_on_an_address_of_either_kind(host: str) -> None:
    port = fresh_port()
    server = MetricsServer(host, port, Metrics(), alive=dict, ready=dict, last_success=lambda: None)
    server.start()
    with urllib.request.urlopen(addresses(host, port)["healthz"]) as answer:  # noqa: S310 - ours
        assert answer.status == 200
    server.stop()
