"""How many changes of a followed table are expanded together, by which thread, and after which pause."""

import pytest

from outboxctl.core.projections.follow_pages import HALF
from outboxctl.core.projections.follow_tables import MOST, MOST_BEGUN, FollowedTable
from outboxctl.domain.projection import EVERYTHING
from outboxctl.worker.projections.turns import LONGEST_PAUSE, QUICK, Turn, Turns

pytestmark = pytest.mark.no_servers


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
        pauses.append(turn.pause)
        assert turns.open([table(0)], now) == []
        assert turns.open([table(0), table(1)], now) == [(table(1), turns.of(table(1)))]
        now = turn.resumes
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
