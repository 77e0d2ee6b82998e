"""How long a claim may still be sent, and when it is renewed."""

import pytest

from outboxctl.domain import clock as clock_module
from outboxctl.worker import lease as lease_module
from outboxctl.worker.lease import Lease

pytestmark = pytest.mark.no_servers


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
