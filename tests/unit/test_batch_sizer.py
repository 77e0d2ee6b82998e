"""How many events are claimed follows the size of the documents of late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.worker.claiming.batch_sizer import BatchSizer

pytestmark = pytest.mark.no_servers
BOUND = 8_000_000


def learn(batch_sizer: BatchSizer, documents: int, each: int, *, left_out: bool = False) -> int:
    batch_sizer.learn(documents, documents * each, left_out=left_out)
    return batch_sizer.size


def test_after_documents_were_left_out_only_what_has_room_is_claimed() -> None:
    batch_sizer = BatchSizer(1_000, BOUND)
    learn(batch_sizer, 1_000, 700)
    assert learn(batch_sizer, 8, 1_000_000, left_out=True) == 8
    assert learn(batch_sizer, 8, 1_000_000) == 8


@given(st.lists(st.tuples(st.integers(1, 1_000), st.integers(1, 10**9), st.booleans())))
def test_there_is_always_one_and_never_more_than_most(batches: list[tuple[int, int, bool]]) -> None:
    batch_sizer = BatchSizer(1_000, BOUND)
    for documents, each, left_out in batches:
        assert 1 <= learn(batch_sizer, documents, each, left_out=left_out) <= 1_000


def test_claims_that_fail_get_smaller_and_those_that_come_in_time_larger_again() -> None:
    batch_sizer = BatchSizer(1_000, BOUND)
    sizes = []
    while not batch_sizer.take_unread():
        sizes.append(batch_sizer.size)
        batch_sizer.failed(batch_sizer.size, by_one=False)
    assert sizes == [1_000, 100, 10, 1]
    assert not batch_sizer.take_unread(), "once for each failure"
    for _ in range(12):
        sizes.append(batch_sizer.size)
        batch_sizer.succeeded(batch_sizer.size)
    assert sizes[4:] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000, 1_000]


def test_a_claim_that_found_little_says_nothing_of_larger_ones() -> None:
    batch_sizer = BatchSizer(1_000, BOUND)
    batch_sizer.failed(1_000, by_one=False)
    batch_sizer.succeeded(3)
    assert batch_sizer.size == 100
