"""Filling an index, or catching up, more slowly while live events wait."""

import threading
from collections.abc import Callable
from time import monotonic

LATE = 0.3  # seconds that events may wait: a third of the second within which they shall be delivered
EVERY = 0.25  # seconds between two looks
LEAST, MOST = 0.1, 1.0  # seconds of the pause before a thousand documents, which take some 0.04
SHORTER = 0.8  # of the pause, after a look at which no event was late
STOPPED = 60.0  # seconds: events that wait so long wait for a worker that is stopped, or for the sink
SLOWER = "Live events wait for longer than 0.3 s: filling more slowly while they do"


class RebuildThrottle:
    """A pause before each request of a rebuild, which grows while live events are late.

    Events that were late before the rebuild began, or wait for longer than a minute, do not slow it: no pause
    would help them. Safe to use from several threads; one of them looks at a time.
    """

    def __init__(
        self,
        waiting: Callable[[], float],
        stop: threading.Event,
        say: Callable[[str], object],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._waiting, self._stop, self._say, self._clock = waiting, stop, say, clock
        self._lock = threading.Lock()
        self._looks_at = clock()
        self._in_time = False  # since the rebuild began, and since events last waited for a minute
        self._pause = 0.0
        self._said = False

    def wait(self, documents: int) -> float:
        """Wait before a request of so many documents, until the stop at the most; seconds of the pause."""
        with self._lock:
            if self._clock() >= self._looks_at:
                self._look(self._waiting())
                self._looks_at = self._clock() + EVERY
            pause = self._pause * documents / 1_000
        if pause:
            self._stop.wait(pause)
        return pause

    def _look(self, waited: float) -> None:
        late = waited > LATE
        self._in_time = not late or (self._in_time and waited <= STOPPED)
        if late and self._in_time:
            self._pause = min(MOST, max(LEAST, 2 * self._pause))
            if not self._said:
                self._said = True
                self._say(SLOWER)
        else:
            self._pause = self._pause * SHORTER if self._pause > LEAST / 4 else 0.0
