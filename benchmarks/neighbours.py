"""How much of the machine others had meanwhile: a figure without this cannot be believed on a shared one."""

from time import monotonic

import psutil

from benchmarks.servers import Rig, cpu_seconds


class Neighbours:
    """Cores that were taken by processes that are not ours, on average since the last look."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._last = self._now()

    def cores(self) -> float:
        (then, before), (now, after) = self._last, self._now()
        self._last = (now, after)
        return max(0.0, (after - before) / (now - then))

    def _now(self) -> tuple[float, float]:
        busy = psutil.cpu_times()
        idle = busy.idle + float(getattr(busy, "iowait", 0.0))
        own = psutil.Process().cpu_times()
        ours = own.user + own.system + own.children_user + own.children_system
        servers = sum(map(cpu_seconds, (self._rig.both.postgres, self._rig.both.search)))
        return monotonic(), float(sum(busy) - idle - ours - servers)
