"""How much of the machine other processes used meanwhile: on a shared machine they change every figure."""

from time import monotonic

import psutil

from outboxctl.drills.bench.rig import Rig


class Neighbours:
    """Cores used by processes that are neither this one, its children nor the rig's servers."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._last = self._now()

    def cores(self) -> float:
        """How many, on average since the last call or the creation."""
        (then, before), (now, after) = self._last, self._now()
        self._last = (now, after)
        return max(0.0, (after - before) / (now - then))

    def _now(self) -> tuple[float, float]:
        busy = psutil.cpu_times()
        idle = busy.idle + float(getattr(busy, "iowait", 0.0))
        own = psutil.Process().cpu_times()
        ours = own.user + own.system + own.children_user + own.children_system
        servers = sum(self._rig.spent(whose) for whose in ("postgres", "engine"))
        return monotonic(), float(sum(busy) - idle - ours - servers)
