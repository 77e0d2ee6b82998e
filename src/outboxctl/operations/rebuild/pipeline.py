"""Reading ahead in a thread, sending in several, and taking the results in the order of what was read."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

SENDERS = 3  # requests in flight: the measured optimum of one engine on the worker's side
IN_FLIGHT = SENDERS + 2  # with those that wait for a sender, so that none waits for the oldest request
AHEAD = 4  # read, and not yet in flight: what is sent while the next rows are read
Item = TypeVar("Item")
Result = TypeVar("Result")


class PageReader(Generic[Item]):
    """Iterates over `source` in a thread of its own, at most AHEAD items ahead of its reader.

    An error of the source is raised where its item would be. `close` ends the thread after the item that it
    reads now.
    """

    def __init__(self, source: Iterator[Item]) -> None:
        self._source = source
        self._read: SimpleQueue[tuple[Item] | BaseException | None] = SimpleQueue()
        self._room = threading.Semaphore(AHEAD)
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
def sent(
    items: Iterator[Item], send: Callable[[Item], Result], stop: threading.Event
) -> Iterator[Iterator[tuple[Item, Result]]]:
    """Within the block: each item with what `send` returns for it, in order; after `stop` what was in flight.

    Raises what reading or sending raises, at its place in the order. The block's end ends all threads.
    """
    with closing(PageReader(items)) as ahead, ThreadPoolExecutor(SENDERS) as pool:
        try:
            yield _in_order(ahead, lambda item: pool.submit(send, item), stop)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_order(
    ahead: PageReader[Item], submit: Callable[[Item], "Future[Result]"], stop: threading.Event
) -> Iterator[tuple[Item, Result]]:
    in_flight = deque[tuple[Item, Future[Result]]]()
    for item in ahead:
        if stop.is_set():
            break
        in_flight.append((item, submit(item)))
        while in_flight and (len(in_flight) >= IN_FLIGHT or in_flight[0][1].done()):
            yield _oldest(in_flight)
    while in_flight:
        yield _oldest(in_flight)


def _oldest(in_flight: deque[tuple[Item, Future[Result]]]) -> tuple[Item, Result]:
    item, future = in_flight.popleft()
    return item, future.result()
