"""The walk over a table's blocks: every block once, whatever is found on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.operations.prune import MOST, Walk

pytestmark = pytest.mark.no_servers
FOUND = st.lists(st.integers(0, 1_000_000), max_size=60)


@given(blocks=st.integers(0, 20_000), wanted=st.integers(0, 10_000), found=FOUND)
def test_every_block_is_walked_once_in_order(blocks: int, wanted: int, found: list[int]) -> None:
    walk, at, rows = Walk(blocks, wanted), 0, iter(found)
    while taken := walk.take():
        first, end = taken
        assert first == at < end <= min(blocks, first + MOST)
        at = end
        walk.adapt(next(rows, 0))
    assert at == blocks
    assert walk.take() is None


@given(per_block=st.integers(1, 226), wanted=st.integers(1, 10_000))
def test_a_dense_table_is_taken_in_batches_of_about_the_wanted_size(per_block: int, wanted: int) -> None:
    walk, batches = Walk(1_000_000, wanted), []
    for _ in range(40):
        first, end = walk.take() or (0, 0)
        batches.append((end - first) * per_block)
        walk.adapt(batches[-1])
    assert all(rows <= max(wanted, per_block) for rows in batches[20:])
    assert all(rows * 2 >= wanted or rows == MOST * per_block for rows in batches[20:])
