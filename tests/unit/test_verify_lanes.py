"""Work ahead: results in order, errors in their place, a bound, and nobody is waited for."""

import threading
from collections.abc import Iterator

import pytest

from outboxctl.operations.verify.lanes import LANES, ahead, in_lanes

pytestmark = pytest.mark.no_servers


def test_results_come_in_order_though_the_work_does_not() -> None:
    second_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_done.wait(10)
        else:
            second_done.set()
        return number * number

    with in_lanes(work, range(50)) as done:
        assert list(done) == [(number, number * number) for number in range(50)]


def test_no_more_is_begun_than_is_asked_for() -> None:
    items = iter(range(100))
    with in_lanes(str, items) as done:
        assert next(done) == (0, "0")
        assert next(items) == LANES + 1


def test_an_error_is_raised_where_its_result_is_taken() -> None:
    with in_lanes(lambda number: 1 // number, [1, 2, 0, 3]) as done:
        assert [next(done), next(done)] == [(1, 1), (2, 0)]
        with pytest.raises(ZeroDivisionError):
            next(done)


def test_leaving_waits_for_nobody() -> None:
    forever, begun = threading.Event(), threading.Event()

    def hang(_: int) -> bool:
        begun.set()
        return forever.wait(60)

    def interrupted() -> Iterator[int]:
        yield 1
        assert begun.wait(10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), in_lanes(hang, interrupted()) as done:
        next(done)
    running = [thread for thread in threading.enumerate() if thread.name == "compare"]
    assert [thread.daemon for thread in running] == [True] * len(running) != []
    forever.set()


def test_the_next_item_is_read_while_the_one_before_is_in_use() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    for item in ahead(items()):
        assert second.wait(10), item
    assert [*ahead(iter(range(100)))] == [*range(100)]


def test_an_error_is_raised_where_its_item_would_be() -> None:
    read = ahead(1 // number for number in (1, 0))
    assert next(read) == 1
    with pytest.raises(ZeroDivisionError):
        next(read)
