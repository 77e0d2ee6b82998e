"""Looking again and again while it storms."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Looking:
    """Calls `look` in a thread of its own, `interval` seconds after the last time, until `close`.

    `count` are the looks so far.
    """

    def __init__(self, look: Callable[[], None], interval: float) -> None:
        self._look, self._interval = look, interval
        self.count = 0
        self._over = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self._run_out = self._thread.submit(self._run)

    def close(self) -> bool:
        """Look no more; raises what went wrong in the thread. False if it was closed before."""
        first = not self._over.is_set()
        self._over.set()
        self._thread.shutdown()
        self._run_out.result()
        return first

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            self._look()
            self.count += 1
