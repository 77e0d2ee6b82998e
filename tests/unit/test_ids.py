"""An id of ours is a UUID version 7 whose order is that of time."""

from datetime import UTC, datetime
from uuid import RFC_4122

from hypothesis import given
from hypothesis import strategies as st

from outboxctl.domain.ids import laid_out

MOMENTS = st.integers(0, int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 10**9)
CHANCE = st.integers(0, 2**64 - 1)


@given(MOMENTS, CHANCE)
def test_every_bit_is_where_the_standard_wants_it(nanoseconds: int, chance: int) -> None:
    made = laid_out(nanoseconds, chance)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == nanoseconds // 1_000_000
    assert made.int & (1 << 62) - 1 == chance & (1 << 62) - 1


@given(MOMENTS, st.integers(245, 10**12), CHANCE, CHANCE)
def test_a_quarter_of_a_microsecond_later_is_greater(now: int, later: int, one: int, two: int) -> None:
    assert laid_out(now, one) < laid_out(now + later, two)
