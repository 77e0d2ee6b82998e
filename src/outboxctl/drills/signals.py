"""The signals that end a command: raised, handled otherwise for a block, or after it."""

import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import current_thread, main_thread

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalReceived(KeyboardInterrupt):
    """One of SIGNALS; a KeyboardInterrupt, for psycopg then cancels the statement under way."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


@contextmanager
def handling(handler: "signal._HANDLER") -> Iterator[None]:
    """Set another handler for the block; a signal that is ignored (`nohup`) stays ignored."""
    with ExitStack() as restored:  # all of them, even if one that arrives meanwhile raises
        for number in SIGNALS:
            if (before := signal.getsignal(number)) is not signal.SIG_IGN:
                restored.callback(signal.signal, number, before)
                signal.signal(number, handler)
        yield


@contextmanager
def raising() -> Iterator[list[int]]:
    """In the block the first signal raises SignalReceived, later ones do nothing; yields what came."""
    arrived = list[int]()

    def arrive(number: int, _frame: object) -> None:
        _mute_hung_up()
        if not arrived:
            arrived.append(number)
            raise SignalReceived(number)

    with handling(arrive):
        yield arrived


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


def _mute_hung_up() -> None:
    """Send what is still written to a closed terminal to /dev/null, so that it raises no error."""
    for descriptor in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
