"""Work ahead: results in order, errors in their place, a bound, and nobody is waited for."""

import threading
from collections.abc import Iterator

import pytest

from outboxctl.operations.verify.lanes import in_lanes

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
