"""Work in a few threads at once, whose results are taken in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
LANES = 2  # threads


@contextmanager
def in_lanes(work: Callable[[T], R], items: Iterable[T]) -> Iterator[Iterator[tuple[T, R]]]:
    """Yield an iterator of each item with its result; at most LANES + 1 results are held or under way.

    What `work` raises is raised where its result is taken. Leaving early waits for no thread: a side may
    hang, and ^C must end it. So the threads are daemons, which those of an executor are not.
    """
    queue: SimpleQueue[tuple[T, Future[R]] | None] = SimpleQueue()
    for _ in range(LANES):
        Thread(target=_lane, args=(work, queue), name="compare", daemon=True).start()
    try:
        yield _in_order(queue, items)
    finally:
        for _ in range(LANES):
            queue.put(None)


def _lane(work: Callable[[T], R], queue: "SimpleQueue[tuple[T, Future[R]] | None]") -> None:
    while task := queue.get():
        item, future = task
        _settle(future, partial(work, item))


def _settle(future: Future[R], work: Callable[[], R]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


def _in_order(queue: "SimpleQueue[tuple[T, Future[R]] | None]", items: Iterable[T]) -> Iterator[tuple[T, R]]:
    under_way: deque[tuple[T, Future[R]]] = deque()
    for item in items:
        under_way.append((item, Future()))
        queue.put(under_way[-1])
        if len(under_way) > LANES:
            first, future = under_way.popleft()
            yield first, future.result()
    for first, future in under_way:
        yield first, future.result()


def begun(work: Callable[[], R]) -> Future[R]:
    """The result of `work`, which a thread of its own does; nobody waits for it at the end of the process."""
    future: Future[R] = Future()
    Thread(target=_settle, args=(future, work), name="compare", daemon=True).start()
    return future


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each read by a thread while the one before is in use; leaving early waits for none."""
    following = begun(lambda: [*islice(items, 1)])
    while item := following.result():
        following = begun(lambda: [*islice(items, 1)])
        yield item[0]
