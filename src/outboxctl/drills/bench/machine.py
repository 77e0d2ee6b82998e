"""What figures depend on: the machine, the versions, and what other processes use of the machine."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from time import monotonic

import psutil

from outboxctl.drills.bench.rig import Rig

LIBRARIES = {
    "outboxctl": "outboxctl",
    "elasticsearch-py": "elasticsearch",
    "psycopg": "psycopg",
    "SQLAlchemy": "SQLAlchemy",
}


def surroundings(servers: Mapping[str, str]) -> dict[str, str]:
    """Cores, memory, platform and all versions, by name; nothing that identifies this machine."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "platform": f"{platform.system()} {platform.machine()}",
        **servers,
        "Python": platform.python_version(),
        **{name: version(package) for name, package in LIBRARIES.items()},
    }


class Neighbours:
    """Cores used by processes that are neither this one, its children nor the rig's servers.

    On a machine that is not idle they change every figure.
    """

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
