"""Whether the worker is to begin nothing new: set by a signal handler first, and then for those who wait."""

import threading


class StopFlag(threading.Event):
    """An Event that a signal handler may set.

    A handler runs between two instructions of the main thread, which may hold the Event's own lock just
    then: `set` would wait for itself. So `request` only assigns. Whoever asks `is_set` sees it at once;
    whoever sits in `wait` is woken by `set`, which the main thread calls when it comes round.
    """

    _requested = False

    def request(self) -> None:
        """Begin nothing new from now on; for signal handlers."""
        self._requested = True

    def is_set(self) -> bool:
        """Whether anything new may be begun no more."""
        return self._requested or super().is_set()
