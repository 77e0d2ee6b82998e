"""Work done ahead in a few threads, its results in order: one side computes while the other is waited for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
LANES = 2


@contextmanager
def in_lanes(work: Callable[[T], R], items: Iterable[T]) -> Iterator[Iterator[tuple[T, R]]]:
    """Yield an iterator of each item with its result; at most LANES + 1 results are held or under way.

    What `work` raises is raised where its result is taken. Leaving early waits for what is under way.
    """
    pool = ThreadPoolExecutor(LANES, thread_name_prefix="compare")
    try:
        yield _in_order(pool, work, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
    rest = iter(items)
    under_way: deque[tuple[T, Future[R]]] = deque()
    for item in rest:
        under_way.append((item, pool.submit(work, item)))
        if len(under_way) > LANES:
            first, future = under_way.popleft()
            yield first, future.result()
    while under_way:
        first, future = under_way.popleft()
        yield first, future.result()
