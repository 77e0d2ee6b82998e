"""Reading ahead in a thread, working in several, and taking the results in the order of what was read."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Tasks = SimpleQueue[tuple[Item, Future[Result]] | None]


class BufferedRead(Generic[Item]):
    """Iterates over `source` in a thread of its own, at most `most` items ahead of its reader.

    An error of the source is raised where its item would be. `close` ends the thread after the item that it
    reads now.
    """

    def __init__(self, source: Iterator[Item], most: int) -> None:
        self._source = source
        self._read: SimpleQueue[tuple[Item] | BaseException | None] = SimpleQueue()
        self._room = threading.Semaphore(most)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while (read := self._read.get()) is not None:
            if isinstance(read, BaseException):
                raise read
            self._room.release()
            yield read[0]

    def close(self) -> None:
        """End the thread, and with it the transaction that it reads in."""
        self._closed = True
        self._room.release()
        self._thread.join()

    def _run(self) -> None:
        try:
            for item in self._source:
                self._read.put((item,))
                self._room.acquire()
                if self._closed:
                    break
        except BaseException as error:  # for the thread that reads from this one
            self._read.put(error)
        else:
            self._read.put(None)
        finally:
            getattr(self._source, "close", lambda: None)()  # in this thread, as its transaction was begun


@contextmanager
def in_lanes(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    lanes: int,
    *,
    waiting: int = 1,
    stop: threading.Event | None = None,
    join: bool = False,
) -> Iterator[Iterator[tuple[Item, Result]]]:
    """Within the block: each item with what `work` returns for it, in order; `lanes` threads work.

    `waiting` more items are taken meanwhile. What reading or working raises is raised at its place. After
    `stop` only what is under way comes. Leaving early waits for no thread, unless to `join` them: a side may
    hang, and ^C must end it. So they are daemons, which those of an executor are not.
    """
    tasks: Tasks[Item, Result] = SimpleQueue()
    under_way = deque[tuple[Item, Future[Result]]]()
    threads = [_started(lambda: _lane(work, tasks)) for _ in range(lanes)]
    try:
        yield _in_order(items, tasks, under_way, lanes + waiting, stop)
    finally:
        for _, future in under_way:
            future.cancel()
        for _ in threads:
            tasks.put(None)
        for thread in threads if join else ():
            thread.join()


def _in_order(
    items: Iterable[Item],
    tasks: Tasks[Item, Result],
    under_way: deque[tuple[Item, "Future[Result]"]],
    most: int,
    stop: threading.Event | None,
) -> Iterator[tuple[Item, Result]]:
    for item in items:
        if stop and stop.is_set():
            break
        under_way.append((item, Future()))
        tasks.put(under_way[-1])
        while under_way and (len(under_way) >= most or under_way[0][1].done()):
            yield _oldest(under_way)
    while under_way:
        yield _oldest(under_way)


def _lane(work: Callable[[Item], Result], tasks: Tasks[Item, Result]) -> None:
    while task := tasks.get():
        item, future = task
        if future.set_running_or_notify_cancel():
            _settle(future, partial(work, item))


def _settle(future: "Future[Result]", work: Callable[[], Result]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


def _oldest(under_way: deque[tuple[Item, "Future[Result]"]]) -> tuple[Item, Result]:
    item, future = under_way.popleft()
    return item, future.result()


def begun(work: Callable[[], Result]) -> "Future[Result]":
    """The result of `work`, which a thread of its own does; nobody waits for it at the end of the process."""
    future: Future[Result] = Future()
    _started(lambda: _settle(future, work))
    return future


def _started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, name="lane", daemon=True)
    thread.start()
    return thread
