"""Reclaimed events and the others take turns; waiting for the others is nobody's turn."""

import pytest

from outboxctl.worker.claiming import claimer as module
from outboxctl.worker.claiming.claimer import PATIENCE, TURN, ReclaimedTurns

pytestmark = pytest.mark.no_servers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def turns() -> ReclaimedTurns:
    """Reclaimed events may exist."""
    turns = ReclaimedTurns()
    turns.may_exist = True
    return turns


def test_a_turn_is_counted_from_when_the_process_is_theirs(turns: ReclaimedTurns, clock: list[float]) -> None:
    assert turns.due()
    clock[0] += 50 * TURN  # so long did batches take to end
    assert turns.begin()
    clock[0] += TURN * 0.9
    assert (turns.due(), turns.begin()) == (True, True)


def test_then_it_is_the_others_turn(turns: ReclaimedTurns, clock: list[float]) -> None:
    turns.begin()
    clock[0] += TURN
    assert not turns.begin()
    assert not turns.due()
    clock[0] += TURN
    assert (turns.due(), turns.begin()) == (True, True)


def test_nobody_waits_for_none(turns: ReclaimedTurns, clock: list[float]) -> None:
    turns.begin()
    turns.none_left()
    assert not turns.due()
    turns.may_exist = True
    clock[0] += TURN / 2
    assert turns.due()


def test_where_batches_in_progress_take_long_the_others_have_as_long_a_turn(
    turns: ReclaimedTurns, clock: list[float]
) -> None:
    for patience in (PATIENCE, 2 * PATIENCE, 4 * PATIENCE):
        assert (turns.due(), turns.patience) == (True, patience)
        clock[0] += patience
        turns.put_off()
        clock[0] += patience * 0.9
        assert not turns.due()
        clock[0] += patience * 0.1
    assert turns.begin()
    assert turns.patience == PATIENCE
