"""An open circuit lets a few events at a time through, and never locks itself."""

import threading
from random import Random

import pytest

from outboxctl.worker.circuit import PROBE_EVENTS, Breaker

pytestmark = pytest.mark.no_servers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("outboxctl.worker.circuit.monotonic", lambda: now[0])
    return now


def breaker() -> Breaker:
    return Breaker(base=0.5, cap=30, rng=Random(1))


def test_open_admits_one_probe_at_a_time(clock: list[float]) -> None:
    b = breaker()
    b.failed()
    assert b.admit(1000) == 0, "not before its time"
    clock[0] += 1
    assert [b.admit(1000), b.admit(1000)] == [PROBE_EVENTS, 0]
    b.end_probe()
    assert b.admit(1000) == PROBE_EVENTS, "a probe that came to nothing does not lock the circuit"
    b.close()
    assert [b.admit(1000), b.admit(1000)] == [1000, 1000]


def test_probes_are_never_more_than_five_seconds_apart(clock: list[float]) -> None:
    b = breaker()
    for _ in range(100):
        b.failed()
    clock[0] += 5
    assert b.admit(10) == PROBE_EVENTS


def test_under_count_a_probe_is_a_whole_batch(clock: list[float]) -> None:
    b = Breaker(base=0.5, cap=30, rng=Random(1), whole_batches=True)
    b.failed()
    clock[0] += 1
    assert [b.admit(1000), b.admit(1000)] == [1000, 0]


def test_a_late_failure_of_another_lane_does_not_let_a_second_probe_through(clock: list[float]) -> None:
    b = breaker()
    b.failed()
    clock[0] += 1
    assert b.admit(10) == PROBE_EVENTS
    other = threading.Thread(target=b.failed)
    other.start()
    other.join()
    clock[0] += 60
    assert b.admit(10) == 0, "one is under way"
    b.end_probe()
    assert b.admit(10) == PROBE_EVENTS
