"""The clock of leases goes on while the machine is suspended, and no other is used beside it."""

import ast
import sys
import time
from pathlib import Path

import pytest

import outboxctl
from outboxctl.domain import clock
from outboxctl.worker.lease import Lease

pytestmark = pytest.mark.no_servers
SOURCE = Path(outboxctl.__file__).parent
SENDING = ("client.py", "node.py", "connection.py")
FILES = ("domain/clock.py", "net/deadline.py", *(f"sink/transport/{name}" for name in SENDING))
SHARED = [*(SOURCE / f for f in FILES), *SOURCE.glob("worker/*.py")]


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no clock that counts suspended time")
def test_a_suspended_hour_ends_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """After it CLOCK_BOOTTIME is an hour ahead; CLOCK_MONOTONIC has not moved."""
    lease = Lease("t", 20, 1, requested_at=clock.monotonic())
    lease.delivering = True
    assert lease.deadline.seconds_left() > 0
    now, real = time.monotonic(), time.clock_gettime
    ahead = {time.CLOCK_BOOTTIME: 3_600.0}
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "clock_gettime", lambda which: real(which) + ahead.get(which, 0.0))
    assert lease.deadline.seconds_left() == 0
    assert lease.renewal_due


def test_without_such_a_clock_it_is_the_ordinary_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_CLOCK", None)
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    assert clock.monotonic() == 7


@pytest.mark.parametrize("path", SHARED, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_second_clock_that_a_deadline_could_be_compared_with(path: Path) -> None:
    names = [
        f"{node.module}.{name.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    ]
    assert "time.monotonic" not in names


def test_the_platforms_of_the_table_have_their_clock() -> None:
    name = clock.CLOCKS.get(sys.platform)
    assert name is None or hasattr(time, name)
