"""Turns: of reclaimed events and all others, and of the followed tables whose changes are expanded."""

import pytest

from outboxctl.core.projections.follow_pages import HALF
from outboxctl.core.projections.follow_tables import MOST, MOST_BEGUN, FollowedTable
from outboxctl.domain.projection import EVERYTHING
from outboxctl.worker.claiming import claimer as module
from outboxctl.worker.claiming.claimer import PATIENCE, TURN, ReclaimedTurns
from outboxctl.worker.projections.turns import LONGEST_PAUSE, QUICK, Turn, Turns

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
    turns.expect()
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
    turns.none_left(turns.times_expected)
    assert not turns.due()
    turns.expect()
    clock[0] += TURN / 2
    assert turns.due()


def test_what_is_reclaimed_during_a_look_is_looked_for_again(turns: ReclaimedTurns) -> None:
    turns.begin()
    times = turns.times_expected
    turns.expect()  # after the claim's snapshot
    turns.none_left(times)
    assert turns.may_exist


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


def table(place: int, *, begun: int = 0) -> FollowedTable:
    return FollowedTable("product", place, fresh=True, begun=begun, due=None)


def test_sets_grow_while_their_documents_have_room_and_never_beyond_the_limit() -> None:
    turn, sizes = Turn(), []
    for _ in range(8):
        turn.wrote(turn.size, turn.size, (), 0.01)
        sizes.append(turn.size)
    assert sizes[-1] == MOST == max(sizes)
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("documents", [1, 30, HALF // 2, HALF])
def test_a_set_that_fits_is_not_followed_by_one_that_cannot(documents: int) -> None:
    """As many documents a row as in the last set."""
    turn = Turn()
    for _ in range(20):
        if documents * turn.size > HALF:
            turn.shrink()
        else:
            turn.wrote(turn.size, documents * turn.size, (), 0.01)
    assert documents * turn.size <= HALF


def test_a_table_whose_turns_are_long_goes_to_the_other_thread_and_comes_back() -> None:
    turns = Turns()
    turn = turns.of(table(0))
    turn.wrote(1, 1, (), QUICK.seconds)
    assert turns.open([table(0)], 0, slow=False) == []
    assert turns.open([table(0)], 0, slow=True) == [(table(0), turn)]
    turn.wrote(1, 1, (), 0.01)
    assert turns.open([table(0)], 0, slow=True) == []


def test_pauses_double_up_to_the_longest_and_end_with_a_success() -> None:
    turns, now, pauses = Turns(), 100.0, []
    turn = turns.of(table(0))
    firsts = []
    for _ in range(9):
        firsts.append(turn.refused(now))
        pauses.append(turn.pauses.until - now)
        assert turns.open([table(0)], now) == []
        assert turns.open([table(0), table(1)], now) == [(table(1), turns.of(table(1)))]
        now = turn.pauses.until
        assert turns.open([table(0)], now) == [(table(0), turn)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    assert firsts == [True] + [False] * 8
    turn.wrote(1, 1, (), 0.01)
    assert turn.refused(now)


def test_only_so_many_events_of_one_table_are_in_pages_at_once() -> None:
    assert table(0, begun=MOST_BEGUN - 1).may_begin
    assert not table(0, begun=MOST_BEGUN).may_begin


def test_a_second_event_for_every_document_waits_until_the_first_has_sent_them_all() -> None:
    assert table(EVERYTHING).may_begin
    assert not table(EVERYTHING, begun=1).may_begin
