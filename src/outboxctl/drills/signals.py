"""The signals that end a command: handled otherwise for a block, or after it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import current_thread, main_thread

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handling(handler: "signal._HANDLER") -> Iterator[None]:
    """Set another handler for the block; a signal that is ignored (`nohup`) stays ignored."""
    with ExitStack() as restored:  # all of them, even if one that arrives meanwhile raises
        for number in SIGNALS:
            if (before := signal.getsignal(number)) is not signal.SIG_IGN:
                restored.callback(signal.signal, number, before)
                signal.signal(number, handler)
        yield


def undisturbed(work: Callable[[], object]) -> None:
    """Complete `work`, which an engine may do for a client that left; a signal is handled after it."""
    if current_thread() is not main_thread():  # Python handles no signal there
        work()
        return
    arrived: list[int] = []
    try:
        with handling(lambda number, _: arrived.append(number)):
            work()
    finally:
        for number in arrived:
            signal.raise_signal(number)
