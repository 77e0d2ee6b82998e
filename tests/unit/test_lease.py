"""How long a claim may still be sent, and when it is renewed."""

import pytest

from outboxctl.worker import lease as module
from outboxctl.worker.lease import Lease

pytestmark = pytest.mark.no_servers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_a_request_ends_within_three_quarters_of_the_lease(clock: list[float]) -> None:
    lease = Lease("t", 20, 1, asked_at=0)
    assert lease.left() == 15
    clock[0] = 14
    assert lease.left() == 1
    clock[0] = 16
    assert lease.left() < 0


def test_a_renewed_lease_gives_later_requests_their_time_but_no_old_reading_is_sent(
    clock: list[float],
) -> None:
    lease = Lease("t", 20, 1, asked_at=0)
    clock[0] = 4
    assert not lease.due()
    clock[0] = 12
    assert lease.due()
    lease.renewed(12)
    assert (lease.left(), lease.due()) == (15, False)
    clock[0] = 20.1
    assert lease.left() == 0, "what was read longer ago than a lease may be old by now"


def test_what_the_database_would_not_renew_is_not_sent(clock: list[float]) -> None:
    lease = Lease("t", 20, 1, asked_at=0)
    clock[0] = 6
    lease.over()
    assert lease.left() < 0
