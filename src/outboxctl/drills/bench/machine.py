"""What figures depend on: the machine and the versions, the CPU of the servers and of other processes."""

import os
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from time import monotonic

import psutil

from outboxctl.core import sessions
from outboxctl.core.database import Database
from outboxctl.drills.bench.rig import SERVERS, Rig

LIBRARIES = {
    "outboxctl": "outboxctl",
    "urllib3": "urllib3",
    "psycopg": "psycopg",
    "SQLAlchemy": "SQLAlchemy",
}
CLOCKS_DIFFER = 5.0  # seconds between what the server and the system report as a process's start
ENGINES = ("java", "noida")


def surroundings(servers: Mapping[str, str]) -> dict[str, str]:
    """Cores, memory, platform and all versions, by name; nothing that identifies this machine."""
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "platform": f"{platform.system()} {platform.machine()}",
        **servers,
        "Python": platform.python_version(),
        **{name: version(package) for name, package in LIBRARIES.items()},
    }


class OtherProcesses:
    """Cores used by processes that are neither this one, its children nor the rig's servers.

    On a machine that is not idle they change every figure.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._last = self._now()

    def cores(self) -> float:
        """Cores used, on average since the last call or the creation."""
        (then, before), (now, after) = self._last, self._now()
        self._last = (now, after)
        return max(0.0, (after - before) / (now - then))

    def _now(self) -> tuple[float, float]:
        """The time, and the CPU seconds of other processes so far."""
        busy, own = psutil.cpu_times(), sum(psutil.Process().cpu_times()[:4])
        idle = busy.idle + float(getattr(busy, "iowait", 0.0))
        return monotonic(), float(sum(busy) - idle - own - sum(map(self._rig.cpu_seconds, SERVERS)))


def clock(server: psutil.Process | None) -> Callable[[], float] | None:
    """A function that returns a server's CPU seconds so far; None without the permission to read them."""
    with suppress(psutil.Error):
        if server is not None:
            _seconds(server)
            return partial(_seconds, server)
    return None


def _seconds(server: psutil.Process) -> float:
    """CPU seconds of a server so far, with its children, the ended ones included.

    A child that ends while they are added up would be missed: repeat until none has ended meanwhile.
    """
    while True:
        own, children = server.cpu_times(), server.children()
        total = sum(map(_child_seconds, children)) + own.user + own.system
        after = server.cpu_times()
        if (own.children_user, own.children_system) == (after.children_user, after.children_system):
            return float(total + own.children_user + own.children_system)


def _child_seconds(child: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = child.cpu_times()
        return float(times.user + times.system)
    return 0.0


def postgres(database: Database) -> psutil.Process | None:
    """The server behind `database`; None where it is no process of this machine.

    A process id alone proves nothing, since a container numbers its processes anew: the session's process
    must also have begun when the server reports.
    """
    with database.begin() as connection:
        pid, began = sessions.own(connection)
        with suppress(psutil.Error):
            session = psutil.Process(pid)
            if "postgres" in session.name() and abs(session.create_time() - began) < CLOCKS_DIFFER:
                return session.parent()
    return None


def engine(port: int) -> psutil.Process | None:
    """The engine that listens on this port of this machine; None for a container's proxy."""
    with suppress(psutil.Error):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
                process = psutil.Process(each.pid)
                return process if any(name in " ".join(process.cmdline()) for name in ENGINES) else None
    return None
