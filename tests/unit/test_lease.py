"""How long a claim may still be sent, and when it is renewed."""

import ast
import time
from pathlib import Path

import pytest

import outboxctl
from outboxctl.domain import clock as clock_module
from outboxctl.worker.claiming import leases as lease_module
from outboxctl.worker.claiming.leases import Lease

pytestmark = pytest.mark.no_servers
SOURCE = Path(outboxctl.__file__).parent
SENDING = ("client.py", "node.py", "connection.py")
FILES = ("domain/clock.py", "net/deadline.py", *(f"sink/transport/{name}" for name in SENDING))
SHARED = [*(SOURCE / f for f in FILES), *SOURCE.glob("worker/**/*.py")]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    for module in (lease_module, clock_module):
        monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_a_request_ends_within_three_quarters_of_the_lease(clock: list[float]) -> None:
    lease = Lease("t", 20, 1, requested_at=0)
    assert lease.deadline.seconds_left() == 15
    clock[0] = 14
    assert lease.deadline.seconds_left() == 1
    clock[0] = 16
    assert lease.deadline.seconds_left() < 0


def test_a_renewed_lease_gives_later_requests_their_time_but_no_old_reading_is_sent(
    clock: list[float],
) -> None:
    lease = Lease("t", 20, 1, requested_at=0)
    lease.delivering = True
    clock[0] = 4
    assert not lease.renewal_due
    clock[0] = 12
    assert lease.renewal_due
    lease.renewed(12)
    assert (lease.deadline.seconds_left(), lease.renewal_due) == (15, False)
    clock[0] = 20.1
    assert lease.deadline.seconds_left() == 0, "what was read longer ago than a lease may be old by now"


def test_what_the_database_would_not_renew_is_not_sent(clock: list[float]) -> None:
    lease = Lease("t", 20, 1, requested_at=0)
    clock[0] = 6
    lease.lost()
    assert lease.deadline.seconds_left() < 0


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no clock that counts suspended time")
def test_a_suspended_hour_ends_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """After it CLOCK_BOOTTIME is an hour ahead; CLOCK_MONOTONIC has not moved."""
    lease = Lease("t", 20, 1, requested_at=clock_module.monotonic())
    lease.delivering = True
    assert lease.deadline.seconds_left() > 0
    now, real = time.monotonic(), time.clock_gettime
    ahead = {time.CLOCK_BOOTTIME: 3_600.0}
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "clock_gettime", lambda which: real(which) + ahead.get(which, 0.0))
    assert lease.deadline.seconds_left() == 0
    assert lease.renewal_due


def test_no_second_clock_that_a_deadline_could_be_compared_with() -> None:
    assert len(SHARED) > 30
    imports = [
        (path.name, f"{node.module}.{name.name}")
        for path in SHARED
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    ]
    assert [path for path, name in imports if name == "time.monotonic"] == []
