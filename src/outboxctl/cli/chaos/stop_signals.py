"""Commands that run until they are told to stop, and end well then."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from outboxctl.drills.scratch.folder import SIGNALS, handling


class StoppedError(BaseException):
    """A signal came while a fault began. No Exception: nothing on its way may take it for a failure."""


@contextmanager
def stop_signal() -> Iterator[Callable[[], int]]:
    """The number of the first signal that has come (^C is one), else 0; an ignored one (`nohup`) stays so."""
    came: list[int] = []
    with handling(lambda number, _: came.append(number)):
        yield lambda: came[0] if came else 0


@contextmanager
def at_once(told: Callable[[], int]) -> Iterator[None]:
    """In a block of `stop_signal`: the first signal ends what goes on here with StoppedError."""
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def end(number: int, frame: FrameType | None) -> None:
        first, handler = not told(), before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        if first:
            raise StoppedError

    if told():
        raise StoppedError
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
