"""Reclaimed events and the others take turns; waiting for the others is nobody's turn."""

import pytest

from outboxctl.worker import reclaimed_turns as module
from outboxctl.worker.reclaimed_turns import TURN, ReclaimedTurns

pytestmark = pytest.mark.no_servers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def quarantine() -> ReclaimedTurns:
    """One that is occupied."""
    quarantine = ReclaimedTurns()
    quarantine.occupied = True
    return quarantine


def test_a_turn_is_counted_from_when_the_process_is_theirs(
    quarantine: ReclaimedTurns, clock: list[float]
) -> None:
    assert quarantine.their_turn()
    clock[0] += 50 * TURN  # so long did batches take to end
    assert quarantine.enter()
    clock[0] += TURN * 0.9
    assert (quarantine.their_turn(), quarantine.enter()) == (True, True)


def test_then_it_is_the_others_turn(quarantine: ReclaimedTurns, clock: list[float]) -> None:
    quarantine.enter()
    clock[0] += TURN
    assert not quarantine.enter()
    assert not quarantine.their_turn()
    clock[0] += TURN
    assert (quarantine.their_turn(), quarantine.enter()) == (True, True)


def test_nobody_waits_for_none(quarantine: ReclaimedTurns, clock: list[float]) -> None:
    quarantine.enter()
    quarantine.leave()
    assert not quarantine.their_turn()
    quarantine.occupied = True
    clock[0] += TURN / 2
    assert quarantine.their_turn()
