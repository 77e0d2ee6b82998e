"""The clock for leases, deadlines and ages: seconds that go on while the machine is suspended.

`time.monotonic` stands still meanwhile on Linux and macOS. A batch that was read before an hour of
suspend would look a second old, and be sent: the database has long given its events to somebody else.
"""

import sys
import time

# Of a kind that counts suspended time, by platform; Windows has none that Python can read.
CLOCKS = {"linux": "CLOCK_BOOTTIME", "darwin": "CLOCK_MONOTONIC"}
_CLOCK: int | None = getattr(time, CLOCKS.get(sys.platform, ""), None)


def monotonic() -> float:
    """Seconds since an unknown start, never less than before. Compare only with its own values.

    In place of `time.monotonic` in all of `outboxctl.worker` and wherever a deadline is shared with it.
    """
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
