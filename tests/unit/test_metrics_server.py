"""The worker's HTTP server, asked by those who do not wait for the answer, and the metrics that it shows."""

import re
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

from outboxctl.domain.failures import Noop, Reason
from outboxctl.drills.services import fresh_port
from outboxctl.metrics import registry
from outboxctl.metrics.registry import BY_REASON, METRICS, Metrics
from outboxctl.metrics.server import MetricsServer
from outboxctl.worker.process import addresses
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


# The names in the lab document's `curl | egrep`.
DOCUMENT = {
    f"outbox_{name}"
    for name in [
        "lag_events",
        "oldest_age_seconds",
        "inflight_events",
        "processed_total",
        "failed_total",
        "stuck_processing_events",
        "retry_scheduled_total",
        "terminal_failed_total",
    ]
}


def series(metrics: Metrics) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in metrics.snapshot().decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, _, value in lines}


def test_a_fresh_worker_shows_each_metric_at_zero_and_no_matrix_of_zeros() -> None:
    metrics = Metrics()
    shown = series(metrics)
    assert set(shown.values()) == {0.0}
    assert len(shown) <= 67
    printed = [name for each in shown if (name := each.partition("{")[0]) in DOCUMENT]
    assert set(printed) == DOCUMENT
    assert len(printed) <= 20
    families = {name for name, *_ in metrics.families()}
    assert {re.sub("_(bucket|count|sum)$", "", each.partition("{")[0]) for each in shown} == families
    for noop in Noop:
        assert any(f'reason="{noop}"' in each for each in shown)


@pytest.mark.parametrize("outcome", ["retried", "terminal", "held"])
def test_a_reason_that_is_counted_once_appears_in_all_three_metrics(outcome: str) -> None:
    """An event that is retried now may fail for good later: that series must have been there at 0."""
    metrics = Metrics()
    before = series(metrics)
    metrics.not_done(outcome, "upsert", Reason.GATEWAY, 3)
    new = {name.partition("{")[0]: value for name, value in series(metrics).items() if name not in before}
    names = {key: METRICS[key][0] for key in BY_REASON}
    counted = {names["failed"], names.get(outcome)}
    assert new == {name: 3.0 * (name in counted) for name in names.values()}


def test_what_ends_an_event_at_its_first_attempt_is_there_at_zero() -> None:
    """Its first series would appear at 1, and the panel by reason would miss it."""
    once = {Reason.MAPPING, Reason.BAD_REQUEST, Reason.BAD_DOCUMENT, Reason.PAYLOAD_TOO_LARGE}
    once |= {Reason.DETERMINISTIC_EXCEPTION, Reason.LEASE_EXPIRED}
    assert {reason for _, reason in registry.AT_ZERO["terminal"]} == once
