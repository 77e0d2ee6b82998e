"""What the threads of a worker wait for: the stop, the end of its grace, and news of work."""

import threading
from collections.abc import Callable

from outboxctl.domain.clock import monotonic

LONGEST_WAIT = 1.0  # seconds until a wait compares the clocks again: it does not count suspended time


class Signals:
    """The state of one worker and the waiting for it; owned by the daemon.

    Any thread may call any method; a signal handler only `request_stop`, since the thread that it interrupts
    may hold a lock. Lanes wait for work by one condition, all other threads for the end by another one: else
    each event would wake all threads, which take the interpreter from the lane that has it.
    """

    def __init__(self) -> None:
        self._changed, self._ending = threading.Condition(), threading.Condition()
        self._stopping = self._abandoned = False
        self._news = 0
        self.hearing = False  # whether the database's notifications arrive; set by the listener alone

    @property
    def stopping(self) -> bool:
        """Whether nothing new may be begun."""
        return self._stopping

    @property
    def news(self) -> int:
        """How often `wake` was called; what `wait_for_news` compares with."""
        return self._news

    def request_stop(self) -> None:
        """As `stop`, for a signal handler: waiting threads are woken only by the `stop` that follows."""
        self._stopping = True  # takes no lock

    def stop(self) -> None:
        """Begin nothing new, and wake all waiting threads."""
        self._stopping = True
        self._notify_all()

    def abandon(self) -> None:
        """The grace is over: wait no longer for work in progress."""
        self._abandoned = True
        self._notify_all()

    def wake(self) -> None:
        """There may be new events: whoever waits for some looks again."""
        with self._changed:
            self._news += 1
            self._changed.notify_all()

    def changed(self) -> None:
        """Have the lanes that wait check their conditions again."""
        with self._changed:
            self._changed.notify_all()

    def wait_for_news(self, since: int, seconds: float) -> None:
        """Wait until `wake` was called after `news` was `since`, the worker stops, or the time is over."""
        self._wait(lambda: self._stopping or self._news != since, seconds, self._changed)

    def wait_for_change(self, seconds: float) -> None:
        """Wait until anything changes, at most `seconds`."""
        with self._changed:
            if not self._stopping:
                self._changed.wait(seconds)

    def wait_until(self, over: Callable[[], bool], seconds: float) -> None:
        """Wait until `over()`, the worker stops, or the time is over; `changed` has it checked again."""
        self._wait(lambda: self._stopping or over(), seconds, self._changed)

    def wait_for_stop(self, seconds: float) -> bool:
        """Wait at most `seconds` for the stop; whether it came."""
        return self._wait(lambda: self._stopping, seconds, self._ending)

    def wait_for_abandon(self, seconds: float) -> bool:
        """Wait at most `seconds` for the end of the grace; whether it came."""
        return self._wait(lambda: self._abandoned, seconds, self._ending)

    def _notify_all(self) -> None:
        """Whoever has not seen the flag that was just set waits already, or is woken by this."""
        for condition in (self._changed, self._ending):
            with condition:
                condition.notify_all()

    def _wait(self, over: Callable[[], bool], seconds: float, condition: threading.Condition) -> bool:
        end = monotonic() + seconds
        with condition:
            while not over() and (left := end - monotonic()) > 0:
                condition.wait(min(left, LONGEST_WAIT))
            return over()
