"""Rows that cannot be read are found by halves, in few reads, and a view that cannot be read at once."""

from collections.abc import Sequence

import pytest

from outboxctl.core.refused_reads import ReadRefusedError, by_halves

pytestmark = pytest.mark.no_servers
CUT_OFF = "57014"


class Rows:
    """Rows by number, of which some are `bad`; all reads are kept."""

    def __init__(self, *bad: int, state: str = "22012", away: bool = False) -> None:
        self.bad, self.state, self.away = {*bad}, state, away
        self.reads: list[Sequence[int]] = []

    def __call__(self, keys: Sequence[int]) -> list[str]:
        self.reads.append(keys)
        if self.away or not self.bad.isdisjoint(keys):
            raise ReadRefusedError(self.state, "no" if keys else "none at all")
        return [str(key) for key in keys]

    def parts(self, size: int) -> list[tuple[list[int], list[str] | None]]:
        found = by_halves([range(size)] if size else [], self)
        return [([*keys], None if isinstance(each, ReadRefusedError) else each) for keys, each in found]


@pytest.mark.parametrize("bad", [[], [0], [1_999], [7, 8], [3, 777, 1_500]])
def test_each_row_is_read_once_in_its_order_and_the_bad_ones_alone(bad: list[int]) -> None:
    rows = Rows(*bad)
    parts = rows.parts(2_000)
    assert [key for keys, _ in parts for key in keys] == [*range(2_000)]
    assert [keys for keys, found in parts if found is None] == [[key] for key in bad]
    assert all(found == [str(key) for key in keys] for keys, found in parts if found is not None)
    assert len(rows.reads) <= 1 + len(bad) * (2 * 11 + 2), "eleven halvings, and a look at the view or two"


def test_a_view_that_cannot_be_read_takes_two_reads() -> None:
    rows = Rows(away=True)
    with pytest.raises(ReadRefusedError, match="none at all"):
        rows.parts(2_000)
    assert len(rows.reads) == 2


def test_a_view_that_goes_away_meanwhile_is_no_rows_fault() -> None:
    rows = Rows(5)
    found = by_halves([range(10)], rows)
    next(found)
    rows.away = True
    with pytest.raises(ReadRefusedError, match="none at all"):
        list(found)


def test_a_statement_that_was_cancelled_says_nothing_of_the_view() -> None:
    rows = Rows(1, state=CUT_OFF)
    assert rows.parts(4) == [([0], ["0"]), ([1], None), ([2, 3], ["2", "3"])]
    assert all(rows.reads)
