"""A fault that has not begun."""

from collections.abc import Callable
from typing import NamedTuple

from outboxctl.drills.faults.records import Fault


class PlannedFault(NamedTuple):
    """What is written down, and how it begins; `begin` returns once the fault is seen at work."""

    fault: Fault
    begin: Callable[[], None]
