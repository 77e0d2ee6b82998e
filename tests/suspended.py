"""A machine that is suspended and resumed, as far as one process can notice.

While a process is stopped by SIGSTOP, both of the kernel's clocks go on; while a machine is suspended,
CLOCK_MONOTONIC stands still and CLOCK_BOOTTIME goes on. `CLOCK` in a worker's environment takes the
stopped time out of its `time.monotonic`; then `suspend` and `resume` are what a lid does.
"""

import os
import signal
import threading
import time
from collections.abc import Callable

from processes import Worker

CLOCK = {"OUTBOXCTL_TEST_CLOCK_STOPS": "1"}
TICK = 0.02  # seconds between two looks at the clock
STOPPED = 1.0  # seconds between two looks that mean "was stopped": a busy machine takes less


def suspend(worker: Worker) -> None:
    """Suspend a worker that has `CLOCK` in its environment: for a second at least, to be noticed as one."""
    worker.signal(signal.SIGSTOP)


def resume(worker: Worker) -> None:
    """Wake it: its `time.monotonic` goes on where it stood."""
    worker.signal(signal.SIGCONT)


class Standing:
    """`time.monotonic` less the time in which this process was stopped.

    Whichever thread looks first after a stop takes it out, so that none sees the clock jump.
    """

    def __init__(self, real: Callable[[], float]) -> None:
        self._real, self._lock = real, threading.Lock()
        self._seen, self._stopped = real(), 0.0

    def __call__(self) -> float:
        """Seconds, as of `time.monotonic`."""
        with self._lock:
            now = self._real()
            gap, self._seen = now - self._seen, now
            if gap > STOPPED:
                self._stopped += gap
            return now - self._stopped


def install() -> bool:
    """Whether the environment asked for such a clock; this process has it then, and loads outboxctl after."""
    if any(os.environ.get(name) != value for name, value in CLOCK.items()):
        return False
    clock = Standing(time.monotonic)
    time.monotonic = clock

    def look() -> None:
        while True:
            clock()
            time.sleep(TICK)

    threading.Thread(target=look, name="clock", daemon=True).start()
    return True
